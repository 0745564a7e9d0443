"""Tokenize texts with a model's own tokenizer; in the ``quantize`` environment.

A chat framed by the model's template is added at the end; its special tokens stand in the text
(``special`` is false: none are added).
"""

from collections.abc import Callable

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
    """Every text and the chat, each with its token ids."""
    tokenizer = AutoTokenizer.from_pretrained(str(request.model))
    cases = [(text, True) for text in request.texts]
    if tokenizer.chat_template:
        chat = tokenizer.apply_chat_template(
            list(_CHAT), tokenize=False, add_generation_prompt=True
        )
        cases.append((chat, False))
    return ReadTexts(
        items=[
            ReadText(
                text=text,
                special=special,
                ids=tokenizer(text, add_special_tokens=special)["input_ids"],
            )
            for text, special in cases
        ]
    )


if __name__ == "__main__":
    serve(HF_TOKENIZE, carry_out)
