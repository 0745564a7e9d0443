"""Rendering a model's chat template (Jinja, as Hugging Face and llama.cpp define it)."""

from datetime import datetime

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.http.errors import RequestError
from services.server.protocol import Message


class ChatTemplate:
    """A compiled template; templates come from model files, so they run sandboxed."""

    def __init__(self, source: str, *, bos_text: str, eos_text: str) -> None:
        """Compile.

        Raises:
            ValueError: the template has a syntax error.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise ValueError(f"chat template: {error}") from error
        self._specials = {"bos_token": bos_text, "eos_token": eos_text}

    def render(self, messages: list[Message]) -> str:
        """The prompt that asks for the assistant's next message.

        Raises:
            RequestError: 400, the template refuses these messages.
        """
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(
                messages=turns, add_generation_prompt=True, **self._specials
            )
        except TemplateError as error:
            raise RequestError(400, f"messages: {error}", param="messages") from error


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _now(layout: str) -> str:
    return datetime.now().astimezone().strftime(layout)
