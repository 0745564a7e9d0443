"""Templates and special tokens are read as transformers' own tokenizer has them."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from quantize.artifact.conversation import read_conversation

TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"<s>": 0, "</s>": 1, "a": 2}, "unk_token": "a"},
}
LIST = [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]


@pytest.mark.parametrize(
    ("configuration", "template_file"),
    [
        ({"bos_token": "<s>", "eos_token": "</s>", "chat_template": "x"}, None),
        (
            {
                "bos_token": None,
                "eos_token": {"__type": "AddedToken", "content": "</s>"},
                "chat_template": LIST,
            },
            None,
        ),
        ({"eos_token": "</s>", "pad_token": "</s>", "chat_template": "x"}, "file"),
        ({"add_bos_token": True, "bos_token": "<s>"}, None),
    ],
)
def test_what_is_read_is_what_transformers_renders_with(
    tmp_path: Path, configuration: dict[str, Any], template_file: str | None
) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration | kind))
    if template_file is not None:
        (tmp_path / "chat_template.jinja").write_text(template_file)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    found = read_conversation(tmp_path)
    assert found is not None
    assert found.special_tokens == tokenizer.special_tokens_map
    held = tokenizer.chat_template
    assert found.templates == (
        held if isinstance(held, dict) else {"default": held} if held else {}
    )


def test_a_folder_without_a_tokenizers_configuration_tells_nothing(tmp_path: Path) -> None:
    assert read_conversation(tmp_path) is None
    (tmp_path / "tokenizer_config.json").write_text("[")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json is no JSON"):
        read_conversation(tmp_path)
