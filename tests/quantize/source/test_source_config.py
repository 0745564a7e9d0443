"""The configuration is put right where tools would read it differently, and nowhere else."""

import json
from pathlib import Path

import pytest

from quantize.source.source_config import SourceConfig, generation_config, read_source_config
from quantize.source.source_error import SourceModelError


def alter(model: Path, name: str = "config.json", **changes: object) -> SourceConfig:
    path = model / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changes))
    return read_source_config(model)


def test_what_is_right_is_left_alone(model: Path) -> None:
    raw = json.loads((model / "config.json").read_text())
    found = read_source_config(model)
    assert (found.content, found.notes) == (raw, ())
    assert (found.bos, found.ends, found.pad, found.sampling) == (1, (2,), None, {})


def test_a_null_means_nothing(model: Path) -> None:
    found = alter(model, quantization_config=None, rope_scaling=None)
    assert not {"quantization_config", "rope_scaling"} & found.content.keys()


def test_a_quantized_model_is_refused(model: Path) -> None:
    with pytest.raises(SourceModelError, match="quantized already"):
        alter(model, quantization_config={"quant_method": "gptq"})


def test_another_architecture_is_refused_with_the_supported_ones(model: Path) -> None:
    with pytest.raises(SourceModelError, match=r"MambaForCausalLM.*LlamaForCausalLM, Mistral"):
        alter(model, architectures=["MambaForCausalLM"])


def test_an_architecture_that_is_not_named_is_that_of_the_type(model: Path) -> None:
    found = alter(model, architectures=None)
    assert found.content["architectures"] == ["LlamaForCausalLM"]
    assert "by its model_type" in found.notes[0]
    with pytest.raises(SourceModelError, match="architecture none named"):
        alter(model, model_type="mamba")


def test_an_activation_that_engines_do_not_compute_is_refused(model: Path) -> None:
    with pytest.raises(SourceModelError, match=r"hidden_act is 'gelu'"):
        alter(model, hidden_act="gelu")


def test_wishes_of_the_generation_settings_are_recorded_and_not_served(model: Path) -> None:
    wishes = {"temperature": 0.9, "do_sample": False, "max_new_tokens": 5}
    found = alter(model, "generation_config.json", eos_token_id=[2, 6], bos_token_id=1, **wishes)
    assert found.sampling == wishes
    assert generation_config(found, (2, 6)) == {"bos_token_id": 1, "eos_token_id": [2, 6]}


def test_all_end_tokens_are_kept_and_those_beyond_the_vocabulary_left_out(model: Path) -> None:
    assert alter(model, eos_token_id=[2, 7, 2]).ends == (2, 7)
    found = alter(model, eos_token_id=[2, 99_999])
    assert (found.ends, found.content["eos_token_id"]) == ((2,), 2)
    assert "99999 lies beyond the vocabulary" in found.notes[0]
    assert alter(model, "generation_config.json", eos_token_id=5).ends == (5,)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_file_that_is_no_object_is_named(model: Path, content: str) -> None:
    (model / "generation_config.json").write_text(content)
    with pytest.raises(SourceModelError, match=r"generation_config\.json"):
        read_source_config(model)


def test_a_missing_config_is_refused(model: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(SourceModelError, match=r"has no config\.json"):
        read_source_config(model)
