"""A plan names a published checkpoint's variants without its format, and a folder as baseline."""

from pathlib import Path

import pytest

from deploy.plan import PlanError, load_plan, make_plan
from deploy.plan_published import name_published, with_baseline
from tests.quantize.artifact.small_gguf import write_gguf
from tests.quantize.published import as_int8
from tests.quantize.tiny_model import make_tiny_model

ALONE = {"name": "own", "variants": ["native-vllm"], "baseline": "native-vllm"}
WHERE = Path("plan.yaml")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model", layers=1)


@pytest.fixture
def int8(model: Path, tmp_path: Path) -> str:
    return str(as_int8(model, tmp_path / "int8"))


def test_a_variant_without_a_format_is_that_of_the_model(int8: str) -> None:
    plan = make_plan({**ALONE, "model": int8}, WHERE)
    assert plan.variants == ("native-compressed-int8-vllm",)
    assert plan.baseline == "native-compressed-int8-vllm"
    assert plan.source is None


def test_options_and_limits_belong_to_the_full_name(int8: str) -> None:
    own = {"variant": "native-vllm", "kv_cache": "fp8", "max_sequences": 3}
    plan = make_plan({**ALONE, "model": int8, "variants": ["native-vllm", own]}, WHERE)
    assert plan.variants[1] == "native-compressed-int8-vllm-kv-fp8"
    assert plan.limits_of(plan.variants[1]).max_sequences == 3


def test_an_engine_that_everyone_means_is_left_out_of_the_name(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    write_gguf(file, {"blk.0.attn_q.weight": ("Q4_K", (256, 256))})
    content = {"name": "own", "variants": ["native-llamacpp"], "baseline": "native-llamacpp"}
    plan = make_plan({**content, "model": str(file)}, WHERE)
    assert plan.variants == (plan.baseline,) == ("native-gguf-mostly-q4_k",)
    again = make_plan({**content, "model": str(file)}, WHERE, variants=plan.baseline)
    assert again == plan
    with pytest.raises(PlanError, match=r"unknown variant 'native-gguf-mostly-q4_k-vllm'"):
        make_plan({**content, "model": str(file), "variants": ["native-vllm"]}, WHERE)


def test_a_baseline_that_is_a_folder_is_served_in_sixteen_bits(int8: str, model: Path) -> None:
    plan = make_plan({**ALONE, "model": int8, "baseline": str(model)}, WHERE)
    assert plan.source == str(model)
    assert plan.variants == ("bf16-vllm", "native-compressed-int8-vllm")
    assert plan.baseline == "bf16-vllm"


def test_the_option_stands_in_for_the_plans_baseline(int8: str, model: Path) -> None:
    plan = make_plan(
        {**ALONE, "model": int8}, WHERE, baseline=str(model), variants="native-transformers"
    )
    assert plan.source == str(model)
    assert plan.variants == ("bf16-vllm", "native-compressed-int8-transformers")


def test_a_variant_as_baseline_is_left_as_it_is() -> None:
    content = {"baseline": "bf16-vllm", "variants": ["bf16-vllm"]}
    assert with_baseline(content, None) == content
    assert name_published(content) == content


def test_a_folder_that_is_called_like_a_variant_is_not_taken_for_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bf16-vllm", "own-model"):
        (tmp_path / name).mkdir()
    content = {"name": "own", "variants": ["bf16-vllm"], "baseline": "bf16-vllm"}
    assert with_baseline(content, None) == content
    assert with_baseline(content, "own-model")["source"] == "own-model"


def test_a_model_of_sixteen_bits_has_no_such_variant(model: Path) -> None:
    with pytest.raises(PlanError, match="serves a published quantized checkpoint as it is"):
        make_plan({**ALONE, "model": str(model)}, WHERE)
    with pytest.raises(PlanError, match="serves a published quantized checkpoint as it is"):
        load_plan("cpu-demo", variants="native-vllm")


def test_plans_of_other_models_have_the_hash_they_had() -> None:
    assert "source" not in load_plan("cpu-demo").model_dump(mode="json")
