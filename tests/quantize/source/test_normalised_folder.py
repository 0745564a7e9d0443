"""What every tool gets: links to one set of weights, one configuration, a tokenizer that loads.

covers: quantize/model_source.py, quantize/source/tokenizer_job.py,
    quantize/source/in_control/read_tokenizer.py
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from quantize.artifact_paths import source_directory
from quantize.model_source import examined, prepared
from quantize.source.normalised_folder import RECORD_NAME, PreparedSource
from quantize.source.source_error import SourceModelError
from quantize.source.source_model import fingerprint

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def prepare(model: Path) -> PreparedSource:
    return prepared(fingerprint(str(model)), model.parent / "artifacts")


def alter(path: Path, **changes: object) -> None:
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changes))


def content(source: PreparedSource, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((source.folder / name).read_text())
    return found


def test_weights_are_links_and_a_tokenizer_json_is_made_of_a_sentencepiece_model(
    model: Path,
) -> None:
    source = prepare(model)
    assert (source.folder / "model.safetensors").readlink() == model / "model.safetensors"
    read = Tokenizer.from_file(str(source.folder / "tokenizer.json"))
    assert read.decode(read.encode("Babu deki.").ids) == "Babu deki."
    assert any("tokenizer.json was made" in note for note in source.record.notes)
    assert content(source, "generation_config.json") == {"bos_token_id": 1, "eos_token_id": 2}


def test_it_is_made_once_and_again_when_its_links_or_its_source_change(model: Path) -> None:
    first = prepare(model).folder / RECORD_NAME
    born = first.stat().st_ino
    assert prepare(model).record.ends == (2,)
    assert first.stat().st_ino == born
    moved = model.rename(model.with_name("moved"))
    (first.parent / "model.safetensors").unlink()
    (first.parent / "model.safetensors").symlink_to(moved / "nothing")
    again = prepare(moved)
    assert (again.folder / "model.safetensors").resolve() == moved / "model.safetensors"


def test_what_is_only_examined_leaves_nothing(model: Path, tmp_path: Path) -> None:
    source = fingerprint(str(model))
    with examined(source, tmp_path / "artifacts") as seen:
        assert (seen.folder / RECORD_NAME).is_file()
    assert not (tmp_path / "artifacts").exists()
    kept = prepared(source, tmp_path / "artifacts").folder
    assert kept == source_directory(tmp_path / "artifacts", source)
    with examined(source, tmp_path / "artifacts") as seen:
        assert seen.folder == kept


def test_a_tokenizer_that_names_no_beginning_gets_that_of_the_model(model: Path) -> None:
    alter(model / "tokenizer_config.json", bos_token=None, eos_token=None)
    named = content(prepare(model), "tokenizer_config.json")
    assert (named["bos_token"], named["eos_token"]) == ("<s>", "</s>")
    (model / "tokenizer_config.json").unlink()
    named = content(prepare(model), "tokenizer_config.json")
    assert (named["bos_token"], named["eos_token"]) == ("<s>", "</s>")


def test_the_end_that_only_the_tokenizer_names_ends_answers_too(model: Path) -> None:
    alter(model / "config.json", eos_token_id=[7, 8])
    source = prepare(model)
    assert source.record.ends == (7, 8, 2)
    assert content(source, "generation_config.json")["eos_token_id"] == [7, 8, 2]


def test_a_vocabulary_that_is_too_short_is_refused_and_nothing_is_left(
    tmp_path: Path, model: Path
) -> None:
    path = prepare(model).folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    extra = {"content": "<extra>", "single_word": False, "lstrip": False, "rstrip": False}
    tokenizer["added_tokens"].append({"id": 600, **extra, "normalized": False, "special": True})
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(SourceModelError, match=r"token ids up to \d+, but .* has 512 \(vocab_size"):
        prepared(fingerprint(str(model)), tmp_path / "refused")
    assert not list((tmp_path / "refused").glob("*/source*"))


def test_a_tokenizer_that_does_not_load_is_refused(model: Path) -> None:
    (model / "tokenizer.model").write_bytes(b"no tokenizer")
    with pytest.raises(SourceModelError, match=r"transformers cannot load the tokenizer \("):
        prepare(model)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}", r"'default' cannot be used \(TemplateSyntaxError"),
        ("{{ raise_exception('no chats') }}", r"refuses a short chat \(TemplateError: no chats"),
        ([{"name": "rag", "template": TEMPLATE}], r"no default chat template \(there is rag\)"),
    ],
)
def test_a_template_that_cannot_be_used_is_told_and_hinders_nothing(
    model: Path, template: object, said: str
) -> None:
    alter(model / "tokenizer_config.json", chat_template=template)
    notes = " ".join(prepare(model).record.notes)
    assert re.search(said, notes)


@pytest.mark.parametrize("text", ["{% generation %}x{% endgeneration %}", TEMPLATE])
def test_a_template_that_transformers_renders_is_no_fault(model: Path, text: str) -> None:
    alter(model / "tokenizer_config.json", chat_template=text)
    source = prepare(model)
    assert source.record.templates == {"default": ""}
    assert source.record.chat_refused == ""


def test_a_template_in_a_file_of_its_own_is_the_only_one(model: Path) -> None:
    (model / "chat_template.jinja").write_text(TEMPLATE)
    source = prepare(model)
    assert "chat_template" not in content(source, "tokenizer_config.json")
    assert (source.folder / "chat_template.jinja").read_text() == TEMPLATE


def test_how_a_text_begins_is_said_where_no_settings_do(model: Path) -> None:
    (model / "tokenizer_config.json").unlink()
    source = prepare(model)
    read = Tokenizer.from_file(str(source.folder / "tokenizer.json"))
    told = content(source, "tokenizer_config.json")
    first = read.encode("a")
    assert told["add_bos_token"] is (first.ids[0] == 1)
    assert told["add_prefix_space"] is read.encode("a", add_special_tokens=False).tokens[
        0
    ].startswith("▁")
