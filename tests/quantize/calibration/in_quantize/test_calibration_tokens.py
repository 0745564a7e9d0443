import json
from typing import Any

import pytest
from transformers import AutoTokenizer

from quantize.calibration.calibration_set import (
    BUNDLED_TEXT,
    CalibrationPlan,
    Document,
    pack,
    plain_chat,
)
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens, document_tokens
from quantize.source.source_model import REFERENCE_WEIGHTS

CHAT: list[dict[str, Any]] = [
    {"role": "user", "content": "Is it raining?"},
    {"role": "assistant", "content": "Yes."},
]
CALL: dict[str, Any] = {"type": "function", "function": {"name": "look_outside", "arguments": {}}}
CALLING: list[dict[str, Any]] = [
    CHAT[0],
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    CHAT[1],
]


@pytest.fixture
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(REFERENCE_WEIGHTS)


def chat(messages: list[dict[str, Any]]) -> Document:
    return Document(text=plain_chat(messages), messages=messages)


def test_the_bundled_set_is_its_texts_and_nothing_else(tokenizer: Any) -> None:
    plan = CalibrationPlan(path=BUNDLED_TEXT, samples=64, sequence_length=512)
    lines = BUNDLED_TEXT.read_text(encoding="utf-8").splitlines()
    expected = pack((tokenizer(json.loads(line)["text"])["input_ids"] for line in lines), plan)
    assert calibration_tokens(REFERENCE_WEIGHTS, plan) == expected


def test_a_chat_goes_through_the_models_template_with_one_bos(tokenizer: Any) -> None:
    found = document_tokens(tokenizer, chat(CHAT))
    assert found == tokenizer.apply_chat_template(CHAT)["input_ids"]
    assert found.count(tokenizer.bos_token_id) <= 1


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{{ raise_exception('no chats today') }}",
        "{{ messages[0].content | no_such_filter }}",
        "{% if %}",
    ],
)
def test_a_chat_that_the_template_refuses_is_read_as_text(
    tokenizer: Any, template: str | None
) -> None:
    tokenizer.chat_template = template
    found = document_tokens(tokenizer, chat(CHAT))
    assert found == tokenizer("User: Is it raining?\n\nAssistant: Yes.")["input_ids"]


def test_a_call_that_the_template_would_leave_out_is_read_as_text(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert "look_outside" in tokenizer.decode(document_tokens(tokenizer, chat(CALLING)))
    assert (
        document_tokens(tokenizer, chat(CHAT))
        == tokenizer("Is it raining?Yes.", add_special_tokens=False)["input_ids"]
    )


def test_a_template_that_tells_the_date_makes_the_same_set_every_day(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ strftime_now('%Y-%m-%d') }} {{ messages[0].content }}"
    found = tokenizer.decode(document_tokens(tokenizer, chat(CHAT)))
    assert "2026-01-01" in found.replace(" ", "")
