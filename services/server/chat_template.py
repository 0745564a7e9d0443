"""A chat as the prompt that asks for its next message, written by transformers' own renderer.

A template is a program in a model's files. It is compiled when a chat comes: one that fails costs
chats alone, each with the template's own words.
"""

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from quantize.artifact.conversation import DEFAULT, Conversation
from services.http.errors import RequestError
from services.server.protocol import ChatBody, Message

# The one that is taken where there are tools, as transformers does.
_WITH_TOOLS = "tool_use"
# Whatever a program that somebody else wrote may raise over what it is given.
_FAILURES = (
    *(TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NotImplementedError, RecursionError, TypeError, ValueError),
)
_PROBE = "assay"


class ChatTemplate:
    """The templates of one model."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._in_parts: dict[str, bool] = {}

    def render(self, body: ChatBody) -> str:
        """The prompt of a chat, with its special tokens written out; tools are variables of it.

        Raises:
            RequestError: 400, there is no template, or it refuses these messages.
        """
        variables = dict(body.chat_template_kwargs or {})
        source = self._choose(has_tools=bool(variables.get("tools")))
        turns = _turns(body.messages, source)
        if self._reads_parts(source):
            turns = [_in_parts(turn) for turn in turns]
        continued = body.continue_final_message
        if continued and body.add_generation_prompt:
            raise RequestError(
                400,
                "continue_final_message: add_generation_prompt must be false with it",
                param="continue_final_message",
            )
        try:
            return self._write(
                source,
                turns,
                add_generation_prompt=body.add_generation_prompt,
                continue_final_message=continued,
                **{"tools": None, **variables},
            )
        except _FAILURES as error:
            raise RequestError(400, f"messages: {error}", param="messages") from error

    def _choose(self, *, has_tools: bool) -> str:
        templates = self._conversation.templates
        if has_tools and _WITH_TOOLS in templates:
            return templates[_WITH_TOOLS]
        if DEFAULT in templates:
            return templates[DEFAULT]
        why = "this model has no chat template"
        if templates:
            why = f"this model has no default chat template (only {', '.join(sorted(templates))})"
        raise RequestError(400, f"messages: {why}", param="messages")

    def _reads_parts(self, source: str) -> bool:
        """Whether a template finds text in parts alone (``[{"type": "text", "text": …}]``)."""
        if source not in self._in_parts:
            turn = {"role": "user", "content": _PROBE}
            self._in_parts[source] = not self._shows(source, turn) and self._shows(
                source, _in_parts(turn)
            )
        return self._in_parts[source]

    def _shows(self, source: str, turn: dict[str, Any]) -> bool:
        try:
            return _PROBE in self._write(source, [turn], add_generation_prompt=True)
        except _FAILURES:
            return False

    def _write(self, source: str, turns: list[dict[str, Any]], **variables: Any) -> str:
        # Those of a request come last: transformers lets them replace special tokens too.
        given = {**self._conversation.special_tokens, **variables}
        texts, _ = render_jinja_template(conversations=[turns], chat_template=source, **given)
        return str(texts[0])


def _turns(messages: Sequence[Message], source: str) -> list[dict[str, Any]]:
    turns = [message.model_dump(exclude_none=True) for message in messages]
    for turn in turns:
        for call in turn.get("tool_calls", ()):
            _read_arguments(call)
    knows = "'developer'" in source or '"developer"' in source
    return turns if knows else _as_system(turns)


def _as_system(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """OpenAI's newer word for the system told in the older one, as vLLM does.

    Many templates take a system message in the first place alone, so all that is said so becomes
    one message there.
    """
    if all(turn["role"] != "developer" for turn in turns):
        return turns
    said = [turn for turn in turns if turn["role"] in ("developer", "system")]
    rest = [turn for turn in turns if turn not in said]
    if turns[0] is said[0] and len(said) == 1:
        return [{**said[0], "role": "system"}, *rest]
    texts = [turn["content"] for turn in said if turn["content"]]
    return [{"role": "system", "content": "\n\n".join(texts)}, *rest]


def _read_arguments(call: dict[str, Any]) -> None:
    """Templates want the arguments of a call as an object, OpenAI's clients send them as text.

    What a model once wrote as its call may be no JSON. The chat must be able to go on after it, so
    it counts as no arguments, as in vLLM.
    """
    function = call.get("function")
    if isinstance(function, dict) and isinstance(text := function.get("arguments"), str):
        try:
            arguments = json.loads(text)
        except ValueError:
            arguments = {}
        function["arguments"] = arguments if isinstance(arguments, dict) else {}


def _in_parts(turn: dict[str, Any]) -> dict[str, Any]:
    return turn | {"content": [{"type": "text", "text": turn["content"]}]}
