"""Tokenize texts with a model's own tokenizer; in the ``quantize`` environment.

A chat framed by the model's template is added at the end, the longest that it takes; its special
tokens stand in the text (``special`` is false: none are added).
"""

from collections.abc import Callable
from typing import Any

from transformers import AutoTokenizer

from quantize.by_llamacpp.llamacpp_jobs import HF_TOKENIZE, ReadText, ReadTexts, TextsRequest
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve

_CHAT = (
    {"role": "user", "content": "What is two plus three?"},
    {"role": "assistant", "content": "Five."},
    {"role": "user", "content": "Thank you."},
)


def carry_out(request: TextsRequest, _: Callable[[Progress], None]) -> ReadTexts:
    """Every text and the chat, each with its token ids; no chat where the template takes none."""
    tokenizer = AutoTokenizer.from_pretrained(str(request.model))
    cases = [(text, True) for text in request.texts]
    chat = _chat(tokenizer)
    if chat is not None:
        cases.append((chat, False))
    return ReadTexts(
        items=[
            ReadText(
                text=text,
                special=special,
                ids=tokenizer(text, add_special_tokens=special)["input_ids"],
            )
            for text, special in cases
        ],
        has_template=_has_default(tokenizer.chat_template),
    )


def _has_default(templates: object) -> bool:
    """Whether chats have a template where none is named."""
    return "default" in templates if isinstance(templates, dict) else bool(templates)


def _chat(tokenizer: Any) -> str | None:
    """A chat as the template frames it: of three turns, or where it refuses those, of one."""
    for turns in (_CHAT, _CHAT[:1]) if _has_default(tokenizer.chat_template) else ():
        try:
            chat: str = tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # noqa: BLE001 - a template is anybody's program
            print(f"the chat template refuses a chat of {len(turns)}: {error}", flush=True)
        else:
            return chat
    return None


if __name__ == "__main__":
    serve(HF_TOKENIZE, carry_out)
