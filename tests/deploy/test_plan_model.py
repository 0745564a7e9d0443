from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.plan import Plan, PlanError, load_plan
from deploy.plan_model import GENERAL_TASKS, WORLD_TASKS
from quantize.root import ROOT

OTHER = "someone/other-model"


def plan(folder: Path, *, override: str | None = None, **changes: Any) -> Plan:
    content = {"name": "mine", "variants": ["bf16-vllm"], "baseline": "bf16-vllm"} | changes
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_plan(str(path), model=override)


def test_the_bundled_model_keeps_its_own_tasks_and_text(tmp_path: Path) -> None:
    found = plan(tmp_path)
    assert (found.quality.tasks, found.calibration.text) == (WORLD_TASKS, "bundled")


def test_another_model_gets_general_tasks_and_text(tmp_path: Path) -> None:
    found = plan(tmp_path, model=OTHER)
    assert (found.quality.tasks, found.calibration.text) == (GENERAL_TASKS, "general")


def test_what_a_plan_chose_for_the_bundled_model_does_not_follow_another(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        override=OTHER,
        quality={"tasks": ["assay_words", "gsm8k"], "limit": 3},
        calibration={"text": "bundled", "samples": 5},
    )
    assert found.quality.tasks == (*GENERAL_TASKS, "gsm8k")
    assert (found.quality.limit, found.calibration.samples) == (3, 5)
    assert found.calibration.text == "general"


@pytest.mark.parametrize("name", ["cpu-demo", "number-formats", "container"])
def test_the_bundled_plans_ask_another_model_nothing_of_the_invented_world(name: str) -> None:
    found = load_plan(name, model=OTHER)
    assert not set(WORLD_TASKS).intersection(found.quality.tasks)
    assert found.calibration.text == "general"


def test_a_plan_that_asks_another_model_about_the_invented_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="assay_words ask about the invented world"):
        plan(tmp_path, model=OTHER, quality={"tasks": ["wikitext", "assay_words"]})


def test_a_text_that_is_named_is_taken_for_any_model(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("words")
    found = plan(tmp_path, model=OTHER, calibration={"text": "own.txt"})
    # Beside the plan, wherever the command was given.
    assert found.calibration.text == str(tmp_path / "own.txt")
    assert (
        plan(tmp_path, model=OTHER, calibration={"text": "bundled"}).calibration.text == "bundled"
    )


def test_a_folder_of_tasks_is_found_beside_the_plan_or_refused(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    found = plan(tmp_path, quality={"include_path": "tasks"})
    assert found.quality.include_path == str(tmp_path / "tasks")
    with pytest.raises(PlanError, match="include_path: no folder 'gone'"):
        plan(tmp_path, quality={"include_path": "gone"})


def test_the_general_tasks_are_bundled() -> None:
    for task in GENERAL_TASKS:
        assert (ROOT / "eval" / "tasks" / f"{task}.yaml").is_file()
