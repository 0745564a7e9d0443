"""The probe: token ids of a model's own tokenizer, as the source folder has it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import AutoTokenizer

from quantize.agreement.probe import ChatProbe, Probe, ProbeSequence
from quantize.artifact.end_tokens import end_tokens
from quantize.calibration.calibration_set import read_texts
from quantize.source.model_shape import outline

_SHORT_TOKENS = 160
_MOST_SPECIAL = 24
_BETWEEN_SPECIAL = 6
_TEXT = "The old mill stands by the river, and nobody counts the days there."
# What templates and their filters write otherwise when they are rendered by other code.
_CHAT = ({"role": "user", "content": 'It\'s <b>5</b> & "more": what is 2 + 2?'},)


def make_probe(model: Path, text: Path, tokens: int) -> Probe:
    """The probe of a model folder; no sequence is longer than ``tokens``."""
    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    config = json.loads((model / "config.json").read_text())
    shape = outline(config)
    known = shape.vocabulary
    ids = _plain_ids(tokenizer, text, known, tokens)
    bos = tokenizer.bos_token_id
    bos = config.get("bos_token_id") if bos is None else bos
    special = _special_ids(tokenizer, known)
    chat, why = _chat(tokenizer)
    return Probe(
        sequences=_sequences(tokenizer, ids, bos, special, chat),
        window=shape.window,
        bos=bos,
        special=special,
        end_tokens=tuple(token for token in end_tokens(model) if token < known),
        chat=chat,
        no_chat=why,
    )


def _plain_ids(tokenizer: Any, text: Path, known: int, length: int) -> list[int]:
    ids: list[int] = []
    for words in read_texts(text):
        found = tokenizer(words, add_special_tokens=False)["input_ids"]
        ids += [token for token in found if token < known]
        if len(ids) >= length:
            break
    return ids[:length]


def _special_ids(tokenizer: Any, known: int) -> tuple[int, ...]:
    named = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    return tuple(sorted(token for token in named if token < known))[:_MOST_SPECIAL]


def _sequences(
    tokenizer: Any,
    ids: list[int],
    bos: int | None,
    special: tuple[int, ...],
    chat: ChatProbe | None,
) -> tuple[ProbeSequence, ...]:
    found = {"without BOS": ids[:_SHORT_TOKENS] if bos is not None else ids}
    if bos is not None:
        found["with BOS"] = [bos, *ids[:-1]]
    if special:
        found["special tokens"] = _mixed(ids, special)
    if chat is not None:
        found["chat"] = list(chat.ids)
    longest = len(ids)
    sequences = [
        ProbeSequence(name=name, ids=tuple(each[:longest])) for name, each in found.items()
    ]
    read = tokenizer(_TEXT)["input_ids"]
    return (*sequences, ProbeSequence(name="text", ids=tuple(read), text=_TEXT))


def _mixed(ids: list[int], special: tuple[int, ...]) -> list[int]:
    """Every special token between pieces of text."""
    mixed = ids[:_BETWEEN_SPECIAL]
    for number, token in enumerate(special, start=1):
        place = number * _BETWEEN_SPECIAL
        mixed = [*mixed, token, *ids[place : place + _BETWEEN_SPECIAL]]
    return mixed


def _chat(tokenizer: Any) -> tuple[ChatProbe | None, str | None]:
    template = tokenizer.chat_template
    if not template:
        return None, "the model has no chat template"
    if "strftime" in str(template):
        return None, "the chat template writes the date"
    messages: list[Mapping[str, str]] = [dict(message) for message in _CHAT]
    try:
        rendered = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True
        )
    except (TemplateError, ValueError, TypeError) as error:
        return None, f"the chat template refuses a user's message ({error})"
    return ChatProbe(messages=tuple(messages), ids=tuple(rendered["input_ids"])), None
