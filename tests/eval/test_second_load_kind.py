"""A kind of load that nothing but this file knows, from records to the report.

covers: eval/decision/judging.py, loadtest/load_point.py, loadtest/target.py
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from deploy.plan import Plan, PlanError, load_plan
from deploy.plan_load import LOAD_SECTIONS, Load
from eval.comparison import build_comparison
from eval.decision.judging import compared_point
from eval.environment_record import write_json
from eval.report.page import write_report
from eval.schema import ComparisonFile, VerdictFile
from eval.terminal import render_terminal
from eval.verdict import decide
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_file import RoundFile
from loadtest.load_kinds import LOAD_KINDS
from loadtest.load_point import LoadPoint
from loadtest.merging import finish
from loadtest.records import RequestRecord, write_records
from loadtest.run_directory import open_run
from loadtest.target import Target, write_result
from quantize.validity.made_from import key_of
from tests.eval.run_on_disk import load_file, records
from tests.loadtest.examples import some_asks, write_plan

VARIANTS = ("bf16-vllm", "gguf-q8_0")


class Metronome(LoadPoint):
    """So many requests a second, one every beat, whatever became of the ones before."""

    kind = "metronome"
    noun = "beat"
    axis = "beats a second"
    rate_words = "at the pace of the metronome."
    limit_words = "A metronome never hurries."

    @property
    def label(self) -> str:
        return f"{self.number} beats a second"

    @property
    def block(self) -> int:
        return 3

    def seconds(self, cycles_s: Sequence[float]) -> float:
        return len(cycles_s) / self.amount

    @property
    def users(self) -> int:
        return 32

    def due_s(self, index: int) -> float | None:
        return index / self.amount


class MetronomeLoad(Load):
    """The section of the plan."""

    points_key = "beats_per_s"

    kind: Literal["metronome"]
    beats_per_s: tuple[Annotated[float, Field(gt=0)], ...]


@pytest.fixture(autouse=True)
def _metronome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOAD_KINDS, Metronome.kind, Metronome)
    monkeypatch.setitem(LOAD_SECTIONS, Metronome.kind, MetronomeLoad)


@pytest.fixture
def plan(tiny_plan: Plan) -> Plan:
    content = tiny_plan.model_dump(mode="json")
    content["load"] = {
        "kind": "metronome",
        "beats_per_s": [2.5, 0.5],
        "prompt_tokens": 8,
        "output_tokens": 10,
    }
    return Plan.model_validate(content)


def measured(variant: str, token_s: float, number: int) -> list[RequestRecord]:
    """What a round leaves at both points."""
    mine = [record for record in records(variant, token_s) if record.round == number]
    return [
        RequestRecord(**vars(record) | {"point": Metronome(beats)})
        for beats in (2.5, 0.5)
        for record in mine
    ]


@pytest.fixture
def run(plan: Plan, tiny_run: Path) -> Path:
    """The tiny run, loaded by the metronome: its rounds are merged as every load test's are."""
    for variant, token_s in zip(VARIANTS, (0.02, 0.01), strict=True):
        folder = tiny_run / variant
        endpoint = load_file(variant, records(variant, token_s)).endpoint
        target = Target(endpoint=endpoint, directory=folder, measured_from={}, summed_from={})
        (folder / "rounds").mkdir()
        for number in range(plan.load.rounds):
            write_records(target.round_file(number, "parquet"), measured(variant, token_s, number))
            client = ClientHealth(cpu_share_p95=0.1, loop_lag_p95_s=0.0)
            ends = [LevelEnd(point=Metronome(b), counted_s=1.0, client=client) for b in (0.5, 2.5)]
            result = RoundFile(
                inputs_sha256=key_of({}),
                endpoint=endpoint,
                started_at="2026-01-01T00:00:00+00:00",
                seconds=1.0,
                locust_version="2",
                levels=ends,
            )
            write_result(target.round_file(number, "json"), result)
        assert finish(plan.load, target) is not None
    (open_run(plan, tiny_run.parent / "opened") / "plan.yaml").replace(tiny_run / "plan.yaml")
    return tiny_run


def told(run: Path, plan: Plan) -> tuple[ComparisonFile, VerdictFile]:
    found = build_comparison(run, plan, artifacts=run.parent / "artifacts")
    verdict = decide(found, plan.objectives)
    write_json(run / "verdict.json", verdict.model_dump(mode="json"))
    return found, verdict


def test_its_throughput_is_by_its_own_formula_and_its_points_in_its_own_order(
    plan: Plan, run: Path
) -> None:
    found, _ = told(run, plan)
    stored = ComparisonFile.model_validate_json((run / "comparison.json").read_bytes())
    assert stored == found
    levels = found.variants[1].load
    assert [level.point for level in levels] == [Metronome(0.5), Metronome(2.5)]
    # Ten tokens a request, however long it took.
    assert [level.output_tok_per_s.value for level in levels] == pytest.approx([5, 25])
    assert levels[1].output_tok_per_s_ratio.value == pytest.approx(1)
    assert levels[1].output_tok_per_s_ratio.bounds == pytest.approx((1, 1))


def test_verdict_and_terminal_call_it_by_its_label(plan: Plan, run: Path) -> None:
    found, verdict = told(run, plan)
    at = compared_point(found, plan.objectives)
    assert at == Metronome(2.5)
    assert any("at 2.5 beats a second" in reason for reason in verdict.reasons)
    text = render_terminal(found, verdict, at=at, width=90)
    assert text.splitlines()[0].startswith("reference at 2.5 beats a second, medians")


def test_the_plan_says_which_of_its_points_is_compared(plan: Plan, run: Path) -> None:
    objectives = plan.objectives.model_copy(update={"load": 0.5})
    slow = plan.model_copy(update={"objectives": objectives})
    reasons = told(run, slow)[1].reasons
    assert any("at 0.5 beats a second" in reason for reason in reasons)


def test_the_report_has_its_axis_its_columns_and_its_words_and_no_others(
    plan: Plan, run: Path
) -> None:
    told(run, plan)
    page = write_report(run).read_text()
    for words in (
        "beats a second →",
        "at beat 0.5:",
        "Speeds are at 2.5 beats a second.",
        "at the pace of the metronome.",
        "A metronome never hurries.",
        '<span class="head">0.5 beats a second</span>',
    ):
        assert words in page
    without_plan = re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)
    assert "concurren" not in without_plan
    assert "streams" not in without_plan


def test_its_section_of_the_plan_is_checked_like_every_other(plan: Plan, tmp_path: Path) -> None:
    assert load_plan(str(write_plan(plan, tmp_path / "plan.yaml"))) == plan
    path = tmp_path / "wrong.yaml"
    content = (tmp_path / "plan.yaml").read_text()
    path.write_text(content.replace("beats_per_s", "beat_per_s"))
    with pytest.raises(PlanError, match=r"load\.beat_per_s: unknown key; did you mean 'beats_per"):
        load_plan(str(path))


def test_the_client_sends_on_its_beats(plan: Plan) -> None:
    asks = some_asks(Metronome(2.5))
    assert [asks.take(100.0, 0.0).due_s for _ in range(3)] == pytest.approx([100.0, 100.4, 100.8])
