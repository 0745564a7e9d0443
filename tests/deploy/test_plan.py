"""The plan refuses what it cannot mean, and names it."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.plan import PLANS_DIR, Plan, PlanError, load_plan

MINIMAL = {"name": "small", "variants": ["bf16-vllm"], "baseline": "bf16-vllm"}


def write(folder: Path, content: object) -> str:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_every_bundled_plan_loads() -> None:
    for path in PLANS_DIR.glob("*.yaml"):
        assert load_plan(path.stem).name == path.stem


def test_an_unknown_key_is_named_by_its_path_with_the_nearest_valid_one(tmp_path: Path) -> None:
    path = write(tmp_path, {**MINIMAL, "load": {"concurencies": [1]}})
    with pytest.raises(PlanError, match=r"load\.concurencies: unknown key; did you mean 'concurr"):
        load_plan(path)


def test_an_unknown_variant_is_named_with_the_nearest_valid_one(tmp_path: Path) -> None:
    path = write(tmp_path, {**MINIMAL, "variants": ["bf16-vlm"]})
    with pytest.raises(PlanError, match="did you mean 'bf16-vllm'"):
        load_plan(path)


def test_a_wrong_value_is_shown_with_its_key_path(tmp_path: Path) -> None:
    path = write(tmp_path, {**MINIMAL, "quality": {"limit": 0}})
    with pytest.raises(PlanError, match=r"quality\.limit: .* \(got 0\)"):
        load_plan(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "gguf-bf16"}, "baseline: 'gguf-bf16' is not among the variants"),
        ({"variants": ["bf16-vllm", "bf16-vllm"]}, "a name stands twice"),
        ({"load": {"prompt_tokens": 4000}}, "exceeds serving.context_length"),
        ({"load": {"concurrencies": [1, 4, 1]}}, "load.concurrencies: a number stands twice"),
        ({"load": {"prompt_tokens": 0}}, "load.prompt_tokens: 0 is no number of tokens from 1 on"),
        ({"load": {"output_tokens": 1}}, "load.output_tokens: at least 2 tokens"),
        (
            {"load": {"prompt_tokens": {"distribution": "uniform", "least": 1, "mots": 2}}},
            r"load\.prompt_tokens\.mots: unknown key; did you mean 'most'",
        ),
        (
            {"load": {"rounds": 2}, "stress": [{"kind": "sweep", "rounds": 3}]},
            "stress.0.rounds: 3 are more than load.rounds = 2",
        ),
        ({"stress": [{"kind": "closed_loop"}]}, "closed_loop stands twice among load and stress"),
        (
            {"stress": [{"kind": "chat", "sessions": [2], "turns": 50}]},
            r"stress\.0: turns x \(prompt_tokens \+ output_tokens\) = 9600 exceeds serving",
        ),
        (
            {"stress": [{"kind": "ramp", "to_rate_per_s": [1]}]},
            r"stress\.0\.to_rate_per_s: unknown key; did you mean 'to_rates_per_s'",
        ),
        (
            {"stress": [{"kind": "sweep", "text": "a.txt"}]},
            "stress: texts stand in load alone",
        ),
        ({"load": {"text": "gone.json"}}, r"load\.text: no file 'gone\.json'"),
        ({"stress": [{"kind": "trace", "trace": "gone.csv"}]}, r"stress: no trace 'gone\.csv'"),
        ({"stress": [{"kind": "swep"}]}, r"stress\.0: 'swep' is no kind of load \(valid: closed_"),
        ({"serving": {"api_keys_file": "keys"}}, "must be an absolute path, or begin with ~"),
        ({"serving": {"api_keys": "x"}}, "unknown key; did you mean 'api_keys_"),
        ({"objectives": {"concurrency": 3}}, "3 is not among load.concurrencies"),
        ({"serving": {"engine_args": ["--port", "1"]}}, "serving.engine_args: --port is set"),
    ],
)
def test_contradictions_between_keys_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        load_plan(write(tmp_path, {**MINIMAL, **change}))


def test_a_plan_may_have_further_loads_which_belong_to_what_is_measured(tmp_path: Path) -> None:
    stress = [{"kind": "ramp", "to_rates_per_s": [5]}, {"kind": "agent", "sessions": [2]}]
    plan = load_plan(write(tmp_path, {**MINIMAL, "stress": stress}))
    assert [load.kind for load in plan.loads] == ["closed_loop", "ramp", "agent"]
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan
    without = load_plan(write(tmp_path, MINIMAL))
    assert plan.measuring_sha256() != without.measuring_sha256()
    assert "stress" not in without.model_dump()


def test_files_of_a_load_are_looked_for_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("")
    trace = {"kind": "trace", "trace": "t.csv"}
    assert load_plan(write(tmp_path, {**MINIMAL, "load": trace})).load.model_dump()["trace"] == str(
        tmp_path / "t.csv"
    )
    stressed = load_plan(write(tmp_path, {**MINIMAL, "stress": [trace]}))
    assert stressed.stress[0].model_dump()["trace"] == str(tmp_path / "t.csv")


def test_a_variant_with_options_gets_a_name_that_says_them(tmp_path: Path) -> None:
    variants = ["bf16-vllm", {"variant": "bf16-vllm", "kv_cache": "fp8"}]
    plan = load_plan(write(tmp_path, {**MINIMAL, "variants": variants}))
    assert plan.variants == ("bf16-vllm", "bf16-vllm-kv-fp8")
    assert plan.resolved_variants()[1].kv_cache == "fp8"
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ({"variant": "bf16-vllm", "kv_cach": "fp8"}, "variants.1: unknown key 'kv_cach'; did you"),
        ({"variant": "bf16-vllm", "kv_cache": "q8_0"}, "no key-value cache of type 'q8_0'"),
        ({"variant": "bf16-vllm", "kv_cache": 8}, "kv_cache: a name such as fp8 is needed, not 8"),
        ({"variant": "bf16-vllm", "engine": True}, "vLLM has no engine to build"),
        ({"kv_cache": "fp8"}, "the name of a variant is missing"),
    ],
)
def test_a_variants_wrong_options_are_refused_by_name(
    tmp_path: Path, variant: dict[str, object], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        load_plan(write(tmp_path, {**MINIMAL, "variants": ["bf16-vllm", variant]}))


def test_what_requests_leave_out_may_be_said_for_all_engines(tmp_path: Path) -> None:
    said = {"temperature": 0.6, "top_k": 20}
    plan = load_plan(write(tmp_path, {**MINIMAL, "serving": {"sampling": said}}))
    assert plan.serving.sampling.model_dump(exclude_none=True) == said
    with pytest.raises(PlanError, match=r"serving\.sampling\.top_p"):
        load_plan(write(tmp_path, {**MINIMAL, "serving": {"sampling": {"top_p": 0}}}))


def test_pages_are_named_by_their_origins(tmp_path: Path) -> None:
    named = {"cors_origins": ["http://localhost:3000", "*"]}
    plan = load_plan(write(tmp_path, {**MINIMAL, "serving": named}))
    assert plan.serving.cors_origins == ("http://localhost:3000", "*")
    for origin in ("localhost:3000", "https://chat.org/", "https://a.org,https://b.org"):
        with pytest.raises(PlanError, match=r"serving\.cors_origins\.0: .* is no origin"):
            load_plan(write(tmp_path, {**MINIMAL, "serving": {"cors_origins": [origin]}}))


def test_a_missing_plan_is_answered_with_the_bundled_names() -> None:
    with pytest.raises(PlanError, match="cpu-demo"):
        load_plan("no-such-plan")


def test_what_is_no_mapping_and_what_is_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="a plan is a mapping"):
        load_plan(write(tmp_path, ["a", "list"]))
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [unclosed")
    with pytest.raises(PlanError, match="no valid YAML"):
        load_plan(str(broken))


def test_a_wrong_selection_is_not_blamed_on_the_plans_file() -> None:
    with pytest.raises(PlanError, match=r"^--variants gguf-q9:\n  variants\.\d: unknown variant"):
        load_plan("cpu-demo", variants="gguf-q9")


def test_a_selection_of_variants_keeps_the_baseline() -> None:
    plan = load_plan("cpu-demo", variants="gguf-q2_k")
    assert plan.variants == ("bf16-vllm", "gguf-q2_k")


def test_the_model_can_be_replaced() -> None:
    assert load_plan("cpu-demo", model="some/model").model == "some/model"


def test_only_what_is_measured_decides_the_run() -> None:
    plan = load_plan("cpu-demo")
    content = plan.model_dump()
    fewer = Plan.model_validate({**content, "variants": ["bf16-vllm"]})
    other_port = Plan.model_validate({**content, "serving": {**content["serving"], "port": 9}})
    other_load = Plan.model_validate({**content, "load": {**content["load"], "rounds": 5}})
    assert fewer.measuring_sha256() == other_port.measuring_sha256() == plan.measuring_sha256()
    unexplored = Plan.model_validate({**content, "explore": False})
    assert unexplored.measuring_sha256() == plan.measuring_sha256()
    assert other_load.measuring_sha256() != plan.measuring_sha256()


LIMITED = """
name: limited
variants:
  - {variant: gguf-q8_0, threads: 3, memory_gib: 2.5}
  - bf16-vllm
baseline: bf16-vllm
serving: {max_sequences: 8, memory_gib: 4}
"""


def test_a_variant_may_have_limits_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(LIMITED)
    plan = load_plan(str(tmp_path / "plan.yaml"))
    assert plan.variants == ("gguf-q8_0", "bf16-vllm")
    assert plan.limits_of("gguf-q8_0").threads == 3
    assert plan.limits_of("gguf-q8_0").max_sequences == 8
    assert plan.limits_of("gguf-q8_0").memory_gib == 2.5
    assert plan.limits_of("bf16-vllm").memory_gib == 4
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_a_selection_of_variants_keeps_their_limits(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(LIMITED)
    plan = load_plan(str(tmp_path / "plan.yaml"), variants="gguf-q8_0,gguf-q2_k")
    assert plan.limits_of("gguf-q8_0").threads == 3
    assert plan.limits_of("gguf-q2_k").threads is None


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("{variant: gguf-q8_0, thread: 3}", "unknown key 'thread'; did you mean 'threads'"),
        ("{variant: gguf-q8_0, threads: 0}", "limits.gguf-q8_0.threads: "),
        ("{variant: gguf-q8_0, eager: true}", "limits.gguf-q8_0.eager: llama.cpp has no such"),
    ],
)
def test_a_wrong_limit_is_refused_with_its_key(tmp_path: Path, variant: str, message: str) -> None:
    plan = f"name: wrong\nvariants: [{variant}]\nbaseline: gguf-q8_0\n"
    (tmp_path / "plan.yaml").write_text(plan)
    with pytest.raises(PlanError, match=re.escape(message)):
        load_plan(str(tmp_path / "plan.yaml"))


def test_an_option_for_all_is_for_the_engines_that_have_it(tmp_path: Path) -> None:
    content = {**MINIMAL, "variants": ["bf16-vllm", "gguf-q8_0"], "serving": {"batched_tokens": 64}}
    plan = load_plan(write(tmp_path, content))
    assert plan.limits_of("bf16-vllm").tuning.batched_tokens == 64
    assert plan.limits_of("gguf-q8_0").tuning.batched_tokens is None
    alone = {**content, "variants": ["gguf-q8_0"], "baseline": "gguf-q8_0"}
    with pytest.raises(PlanError, match=r"serving.batched_tokens: no engine of this plan"):
        load_plan(write(tmp_path, alone))


def test_a_variants_own_option_goes_before_that_of_all(tmp_path: Path) -> None:
    own = {"variant": "bf16-vllm", "memory_share": 0.3}
    content = {**MINIMAL, "variants": [own], "serving": {"memory_share": 0.9, "eager": True}}
    tuning = load_plan(write(tmp_path, content)).limits_of("bf16-vllm").tuning
    assert (tuning.memory_share, tuning.eager) == (0.3, True)


def test_options_that_a_plan_does_not_set_leave_its_hash_as_it_was() -> None:
    plan = load_plan("cpu-demo")
    assert (
        not {"eager", "engine_args", "memory_share"}
        & plan.model_dump(mode="json")["serving"].keys()
    )
    eager = plan.model_copy(update={"serving": plan.serving.model_copy(update={"eager": True})})
    assert eager.measuring_sha256() != plan.measuring_sha256()
