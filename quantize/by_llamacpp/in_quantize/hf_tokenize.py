"""Tokenize texts with a model's own tokenizer; in the ``quantize`` environment.

``python -m quantize.by_llamacpp.in_quantize.hf_tokenize MODEL TEXTS OUTPUT``: TEXTS is a JSON list
of strings, OUTPUT a JSON list of ``{"text", "special", "ids"}``. A chat framed by the model's
template is added at the end; its special tokens stand in the text (``special`` is false: none are
added).
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

_CHAT = (
    {"role": "user", "content": "What is two plus three?"},
    {"role": "assistant", "content": "Five."},
    {"role": "user", "content": "Thank you."},
)


def main() -> None:
    """Write OUTPUT."""
    model, texts, output = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(model)
    cases = [(text, True) for text in json.loads(Path(texts).read_text())]
    if tokenizer.chat_template:
        chat = tokenizer.apply_chat_template(
            list(_CHAT), tokenize=False, add_generation_prompt=True
        )
        cases.append((chat, False))
    items = [
        {
            "text": text,
            "special": special,
            "ids": tokenizer(text, add_special_tokens=special)["input_ids"],
        }
        for text, special in cases
    ]
    Path(output).write_text(json.dumps(items))


if __name__ == "__main__":
    main()
