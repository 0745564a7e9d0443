"""The whole comparison, stage after stage; each stage reuses what is finished."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from deploy.make_artifacts import left_out, make_what_can_be, require_baseline
from deploy.plan import Plan
from deploy.plan_choice import serving_only
from deploy.resident_plan import why_alone
from deploy.service import RUN_DIR, read_record, stop
from deploy.setup.environments import LAST_SETUP
from deploy.up import refuse_what_is_in_the_way, up
from eval.comparison import build_comparison
from eval.decision.judging import compared_point
from eval.divergence.divergence_stage import run_divergence
from eval.environment_record import write_environment, write_json
from eval.limits import RATES_NAME
from eval.number_formats import explore_formats, figures_path, keep_figures
from eval.quality import check_tasks, run_quality
from eval.report.page import write_report
from eval.schema import VerdictFile
from eval.terminal import render_terminal
from eval.turns import Turn, turns
from eval.verdict import decide
from loadtest.failures import Stage, forget_failures, record_failure
from loadtest.locust_process import LoadTestError
from loadtest.measure import run_load_test
from loadtest.run_directory import (
    keep_plan,
    open_run,
    run_directory,
    taken_away_if_refused,
)
from quantize.jobs.lock import hold
from quantize.machine import probe_machine
from services.gpus.kept_rates import device_rates

CPU_NOTE = "Measured on a CPU: speeds, and their order, say nothing about a GPU."
Say = Callable[[str], None]
Options = Callable[[Plan], list[str]]
"""The command-line options that name a plan, for a command we start."""


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """One stage's wall time; ``cached`` when it found everything done."""

    name: str
    seconds: float
    cached: bool


class Stages:
    """Times the stages of one comparison and keeps them in ``stages.json``."""

    def __init__(self, run_dir: Path, say: Say) -> None:
        self.run_dir = run_dir
        self.say = say
        self.done: list[StageTime] = []
        if LAST_SETUP.is_file():
            self._add(StageTime(name="set-up", **json.loads(LAST_SETUP.read_text())))

    @contextmanager
    def time(self, name: str, outputs: Callable[[], list[Path]]) -> Iterator[None]:
        """Time a stage; it counts as cached when it has ``outputs`` and none of them changed."""
        self.say(f"── {name}")
        before = _states(outputs())
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        after = _states(outputs())
        self._add(StageTime(name=name, seconds=seconds, cached=bool(after) and after == before))

    def _add(self, stage: StageTime) -> None:
        """A stage that comes in several turns is one row."""
        names = [item.name for item in self.done]
        if stage.name in names:
            place = names.index(stage.name)
            before = self.done[place]
            self.done[place] = StageTime(
                name=stage.name,
                seconds=before.seconds + stage.seconds,
                cached=before.cached and stage.cached,
            )
        else:
            self.done.append(stage)
        write_json(self.run_dir / "stages.json", {"stages": [asdict(item) for item in self.done]})

    def table(self) -> str:
        """Wall time per stage, as the terminal shows it."""
        rows = [
            f"  {stage.name:<12}{stage.seconds:8.1f} s{'  (cached)' if stage.cached else ''}"
            for stage in self.done
        ]
        total = sum(stage.seconds for stage in self.done)
        return "\n".join(["wall time per stage", *rows, f"  {'total':<12}{total:8.1f} s"])


def _states(paths: list[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths}


def compare(plan: Plan, options: Options, say: Say) -> None:
    """Everything from artifacts to report; ``options`` give the host process this same plan.

    A variant that fails is left out from then on and told at the end; only the baseline's failure
    ends the comparison. A service this comparison started is stopped at its end; one that ran
    before stays.

    Raises:
        ValueError, RuntimeError: the baseline or a whole stage failed, another command is at work
            in this run or with this service; what is finished is kept and reused next time.
    """
    command = "make compare"
    with hold(RUN_DIR, command):
        # Now, and not after everything has been made, served and loaded.
        refuse_what_is_in_the_way(_to_be_served(plan))
        run_dir = run_directory(plan)
        is_new = not run_dir.exists()
        with hold(run_dir, command):
            with taken_away_if_refused(run_dir, is_new=is_new):
                open_run(plan)
                write_environment(run_dir, plan)
                forget_failures(run_dir, plan.variants)
                check_tasks(plan, run_dir, tell=say)
            _compare(plan, options, run_dir, say)


def _compare(plan: Plan, options: Options, run_dir: Path, say: Say) -> None:
    stages = Stages(run_dir, say)
    with stages.time("quantize", lambda: sorted(ARTIFACTS_DIR.glob("*/*/manifest.json"))):
        plan_made = _without(plan, make_what_can_be(plan, say), "quantize", run_dir)
    if plan.explore:
        with stages.time("explore", lambda: [p for p in [figures_path(plan)] if p.is_file()]):
            explore_formats(plan, say)
    _measure_card(run_dir, say)
    if why := why_alone(plan_made):
        say(f"each variant is served alone: {why}; their speeds lie minutes apart")
    for turn in turns(plan_made, alone=bool(why)):
        _measure(plan_made, turn, options, run_dir, stages)
    with stages.time("report", list):
        text, path = make_report(plan, run_dir)
    say(f"\n{text}\n{stages.table()}\n\nreport: {path}")


def _to_be_served(plan: Plan) -> Iterator[Plan]:
    """Who is to be served together, turn after turn, as far as it is known before any work."""
    unfit = left_out(plan)
    require_baseline(plan, unfit)
    fit = serving_only(plan, tuple(name for name in plan.variants if name not in unfit))
    for turn in turns(fit, alone=why_alone(fit) is not None):
        yield serving_only(plan, turn.variants)


def _measure_card(run_dir: Path, say: Say) -> None:
    """What the GPU does at most, before any engine is on it; nothing where there is none."""
    gpus = probe_machine().gpus
    rates = device_rates(gpus[0].uuid, say, busy=read_record() is not None) if gpus else None
    if rates is not None:
        write_json(run_dir / RATES_NAME, rates.model_dump())


def _measure(plan: Plan, turn: Turn, options: Options, run_dir: Path, stages: Stages) -> None:
    """Serve a turn's variants, load and question them; what was started for it is stopped."""
    say, started = stages.say, False
    wanted = serving_only(plan, turn.variants)
    needed = {plan.baseline} & set(turn.variants)
    try:
        with stages.time("deploy", list):
            say(f"{' and '.join(turn.variants)} at {plan.serving.url}")
            up_now = up(wanted, options(wanted), say, owned=True, needed=needed)
            started = up_now.started
            served = _without(wanted, up_now.failed, "deploy", run_dir)
        if turn.load and served.variants:
            with stages.time("load test", lambda: sorted(run_dir.glob("*/load.json"))):
                failed = run_load_test(served, say=say)
                if plan.baseline in failed:
                    raise LoadTestError(f"the baseline failed: {failed[plan.baseline]}")
        if served.variants:
            with stages.time("quality", lambda: sorted(run_dir.glob("*/quality*.json"))):
                others = len(plan.variants) - 1
                run_quality(served, run_dir, passes=turn.passes, compared=others, tell=say)
                run_divergence(served, run_dir, passes=turn.passes, tell=say)
    finally:
        if started and (record := read_record()) is not None:
            stop(record)


def _without(plan: Plan, failed: Mapping[str, str], stage: Stage, run_dir: Path) -> Plan:
    """The plan without the variants that failed; the reasons are kept in the run."""
    for name, reason in failed.items():
        record_failure(run_dir, name, stage, reason)
    return plan.model_copy(
        update={"variants": tuple(name for name in plan.variants if name not in failed)}
    )


def make_report(plan: Plan, run_dir: Path) -> tuple[str, Path]:
    """Comparison, verdict and page from what was measured; returns the text and the page's path.

    Raises:
        ComparisonError: something is not measured yet; the message names the stage.
    """
    # Where variants take turns at being served, a load test kept its turn's alone.
    keep_plan(run_dir, plan)
    comparison = build_comparison(run_dir, plan)
    record = run_dir / "environment.json"
    if not record.is_file():
        write_environment(run_dir, plan)
    environment = json.loads(record.read_text())
    notes = [] if environment["gpu"] else [CPU_NOTE]
    verdict: VerdictFile = decide(comparison, plan.objectives, notes=notes)
    write_json(run_dir / "verdict.json", verdict.model_dump(mode="json"))
    keep_figures(plan, run_dir)
    path = write_report(run_dir)
    at = compared_point(comparison, plan.objectives)
    return render_terminal(comparison, verdict, at=at), path
