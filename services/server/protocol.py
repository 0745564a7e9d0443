"""The request bodies that this server understands: anything else is refused by name.

Field meanings are OpenAI's (https://platform.openai.com/docs/api-reference); ``top_k``, ``min_p``,
``repetition_penalty``, ``min_tokens``, ``ignore_eos``, ``return_tokens_as_token_ids`` and those of
the chat template are vLLM's.
Bodies come with what changes nothing taken off (``services.http.request_fields``).
"""

import json
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.http.errors import RequestError
from services.http.request_body import parse_object
from services.http.request_fields import Route, read_fields
from services.server.sampling import SamplingParameters

MAX_LOGPROBS = 20
# Sequences that one request may make: prompts times ``n``.
MAX_CHOICES = 2048
_MOST_DIGITS = 20

Ids = list[int]
Probability = Annotated[float, Field(gt=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Body = TypeVar("Body", bound="StrictBody")


class StrictBody(BaseModel):
    """What a body is made of: only fields that are known, in their own types."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # Bodies of a route of the table of fields are read by it first.
    route: ClassVar[Route | None] = None


class StreamOptions(StrictBody):
    """``stream_options``."""

    include_usage: bool = False
    continuous_usage_stats: bool = False


class NamedSchema(StrictBody):
    """A JSON schema, as OpenAI wraps it."""

    name: str
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(StrictBody):
    """``response_format``, of which the app before us makes a schema whatever it was."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


class GenerationBody(StrictBody):
    """What completions and chat completions have in common."""

    model: str
    max_tokens: Annotated[int, Field(ge=-1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    ignore_eos: bool | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=100)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None

    def sampling(self, vocab_size: int) -> SamplingParameters:
        """The sampling part, with defaults filled in.

        Raises:
            RequestError: 400, ``logit_bias`` names a token that does not exist.
        """
        return SamplingParameters(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=self.top_p or 1.0,
            top_k=self.top_k or 0,
            min_p=self.min_p or 0.0,
            seed=self.seed,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            logit_bias=_biases(self.logit_bias or {}, vocab_size),
        )

    def schema_text(self) -> str | None:
        """The JSON schema that the answer is held to."""
        form = self.response_format
        return None if form is None else json.dumps(form.json_schema.schema_)

    def stops(self) -> tuple[str, ...]:
        """All stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def usage_options(self) -> StreamOptions:
        """Where a stream tells its usage."""
        return self.stream_options or StreamOptions()


class CompletionBody(GenerationBody):
    """``POST /v1/completions``."""

    route = "completions"

    prompt: str | Ids | list[str] | list[Ids]
    echo: bool | None = None
    add_special_tokens: bool = True
    logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | None = None
    return_tokens_as_token_ids: bool | None = None

    def prompts(self) -> list[str | Ids]:
        """One entry per prompt; token ids are one prompt, not many.

        Raises:
            RequestError: 400, there is no prompt at all, or there are too many.
        """
        if isinstance(self.prompt, str):
            return [self.prompt]
        if not self.prompt:
            raise RequestError(400, "prompt: expected at least one token or string", param="prompt")
        if isinstance(self.prompt[0], int):
            return [[token for token in self.prompt if isinstance(token, int)]]
        choices = len(self.prompt) * (self.n or 1)
        if choices > MAX_CHOICES:
            raise RequestError(
                400,
                f"prompt: {len(self.prompt)} prompts times n make {choices} choices; "
                f"at most {MAX_CHOICES} are answered at once",
                param="prompt",
            )
        return [item for item in self.prompt if not isinstance(item, int)]


class Message(StrictBody):
    """One chat message, as the template gets it; which roles there are is the template's affair."""

    role: str
    content: str
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


class ChatBody(GenerationBody):
    """``POST /v1/chat/completions``."""

    route = "chat"

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    chat_template_kwargs: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_LOGPROBS)] | None = None

    def score_count(self) -> int | None:
        """How many likeliest tokens to report, or None for no log-probabilities.

        Raises:
            RequestError: 400, ``top_logprobs`` without ``logprobs``.
        """
        if not self.logprobs:
            if self.top_logprobs:
                raise RequestError(
                    400, "top_logprobs: needs logprobs to be true", param="top_logprobs"
                )
            return None
        return self.top_logprobs or 0


def parse_body(kind: type[Body], raw: bytes) -> Body:
    """Validate a JSON body.

    Raises:
        RequestError: 400, names the first field that is unknown or wrong.
    """
    content = parse_object(raw)
    if kind.route is not None:
        content = read_fields(content, kind.route, frozenset(kind.model_fields))
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise RequestError(400, f"{path}: this field is not supported", param=path) from None
        raise RequestError(400, f"{path}: {first['msg']}", param=str(first["loc"][0])) from None


def _biases(raw: dict[str, float], vocab_size: int) -> dict[int, float]:
    biases = {}
    for key, bias in raw.items():
        # Python refuses to read a number of thousands of digits, so its length is looked at first.
        is_number = key.isascii() and key.isdigit() and len(key) <= _MOST_DIGITS
        if not is_number or int(key) >= vocab_size:
            raise RequestError(
                400,
                f"logit_bias: {key[:40]!r} is no token id (valid: 0 to {vocab_size - 1})",
                param="logit_bias",
            )
        biases[int(key)] = bias
    return biases
