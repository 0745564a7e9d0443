from pathlib import Path

import pytest
import yaml

from deploy.plan import Plan, PlanError, load_plan
from deploy.plan_load import ClosedLoopLoad

MINIMAL = {"name": "small", "variants": ["bf16-vllm"], "baseline": "bf16-vllm"}


def plan_of(folder: Path, **sections: object) -> Plan:
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**MINIMAL, **sections}))
    return load_plan(str(path))


def test_a_plan_that_names_no_kind_is_a_closed_loop_and_is_written_without_one(
    tmp_path: Path,
) -> None:
    plain = plan_of(tmp_path, load={"concurrencies": [1, 8]})
    named = plan_of(tmp_path, load={"kind": "closed_loop", "concurrencies": [1, 8]})
    assert plain == named
    assert plain.load == ClosedLoopLoad(concurrencies=(1, 8))
    assert "kind" not in plain.model_dump(mode="json")["load"]
    assert Plan.model_validate(plain.model_dump(mode="json")) == plain


def test_the_hash_of_what_is_measured_is_what_it_was_before_there_were_kinds() -> None:
    # Of the plan `small` below, by the code before; a run's directory is named by it.
    plan = Plan.model_validate({**MINIMAL, "load": {"concurrencies": [1, 8]}})
    assert plan.measuring_sha256()[:8] == "353dd26f"


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"load: 'drizzle' is no kind of load \(valid: closed_loop"):
        plan_of(tmp_path, load={"kind": "drizzle"})


@pytest.mark.parametrize("key", ["load", "concurrency"])
def test_the_load_to_compare_at_may_be_called_by_its_old_name(tmp_path: Path, key: str) -> None:
    assert plan_of(tmp_path, objectives={key: 4}).objectives.load == 4


@pytest.mark.parametrize(
    "load",
    [
        {"kind": "poisson", "rates_per_s": [float("inf")]},
        {"kind": "trace", "trace": __file__, "speeds": [float("inf")]},
        {"kind": "chat", "sessions": [1], "think_s": float("inf")},
        {"concurrencies": [1], "duration_s": float("inf")},
    ],
)
def test_nothing_of_a_load_is_endless(load: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="finite number"):
        plan_of(tmp_path, load=load)
