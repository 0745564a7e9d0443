"""How an endpoint that is not ours is asked, and what its answers may leave out.

Ours take token ids, force the length and tell usage. Others may know chats alone, texts alone, no
``ignore_eos``, no usage in a stream; what one knows was tried before (``any_endpoint/probe.py``).
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from loadtest.completion import Reading

Api = Literal["chat", "completions"]
LengthKey = Literal["max_tokens", "max_completion_tokens"]
_ROUTES: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}


class Dialect(BaseModel):
    """What one endpoint understands; ``model`` is the name that it knows its model by.

    Without ``usage``, or where it is not ``believed`` as it counts more than was asked for, a chunk
    counts as a token; without ``exact`` answers end as they like, after ``length_key`` tokens at
    most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: Api
    model: str
    usage: bool = True
    believed: bool = True
    exact: bool = True
    length_key: LengthKey = "max_tokens"

    @property
    def route(self) -> str:
        """Below the endpoint's base URL."""
        return _ROUTES[self.api]

    def body(self, text: str, output_tokens: int) -> bytes:
        """A streamed request for so many tokens."""
        asked: dict[str, Any] = {"model": self.model, "stream": True, "temperature": 0}
        if self.api == "chat":
            asked["messages"] = [{"role": "user", "content": text}]
        else:
            asked["prompt"] = text
        asked[self.length_key] = output_tokens
        if self.exact:
            asked["ignore_eos"] = True
        if self.usage:
            asked["stream_options"] = {"include_usage": True}
        return json.dumps(asked, separators=(",", ":")).encode()

    def completed(self, reading: Reading) -> None:
        """Count chunks where there is no usage, or none to go by."""
        if not self.believed or (not self.usage and not reading.output_tokens):
            reading.output_tokens = reading.chunks

    def fault(self, reading: Reading, output_tokens: int) -> str | None:
        """Why a stream that was read without an exception is an error; None: it is right."""
        if not reading.done:
            said = f"; the server said: {reading.stray}" if reading.stray else ""
            return f"the stream ended before [DONE], after {reading.chunks} chunks{said}"
        if reading.first_token_s is None:
            return "no chunk had any text"
        if reading.output_tokens == 0:
            return "the stream has no usage, though it had one before"
        if self.exact and reading.output_tokens != output_tokens:
            return (
                f"{reading.output_tokens} output tokens where {output_tokens} were forced: "
                "ignore_eos or the limit was taken and not obeyed"
            )
        if reading.chunks <= output_tokens < reading.output_tokens:
            return f"its usage counts {reading.output_tokens} tokens, {output_tokens} are the most"
        return None

    @property
    def words(self) -> str:
        """What it understands, in one line of a report."""
        length = (
            "answers of exact length"
            if self.exact
            else f"answers that end as they like ({self.length_key} at most)"
        )
        tokens = "tokens by usage" if self.usage else "tokens by chunks: no usage in its streams"
        if not self.believed:
            tokens = "tokens by chunks: its usage counts more than was asked for"
        return f"{self.api} as {self.model}, {length}, {tokens}"
