"""The whole comparison, stage after stage; each stage reuses what is finished."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR, make_artifacts, run_stage
from deploy.environments import LAST_SETUP
from deploy.plan import Plan
from deploy.service import read_record, stop
from deploy.up import up
from eval.comparison import build_comparison
from eval.environment_record import write_environment, write_json
from eval.quality import run_quality
from eval.report.page import write_report
from eval.schema import VerdictFile
from eval.terminal import render_terminal
from eval.verdict import decide
from loadtest.run_directory import open_run

CPU_NOTE = "Measured on a CPU: speeds, and their order, say nothing about a GPU."
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage's wall time; ``cached`` when it found everything done."""

    name: str
    seconds: float
    cached: bool


class Stages:
    """Times the stages of one comparison and keeps them in ``stages.json``."""

    def __init__(self, run_dir: Path, say: Say) -> None:
        self.run_dir = run_dir
        self.say = say
        self.done: list[Stage] = []
        if LAST_SETUP.is_file():
            self._add(Stage(name="set-up", **json.loads(LAST_SETUP.read_text())))

    @contextmanager
    def time(self, name: str, outputs: Callable[[], list[Path]]) -> Iterator[None]:
        """Time a stage; it counts as cached when none of its ``outputs`` changed."""
        self.say(f"── {name}")
        before = _states(outputs())
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self._add(Stage(name=name, seconds=seconds, cached=_states(outputs()) == before))

    def _add(self, stage: Stage) -> None:
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


def compare(plan: Plan, options: list[str], say: Say) -> None:
    """Everything from artifacts to report; ``options`` name the same plan to the stages we start.

    A service this comparison started is stopped at its end; one that ran before stays.

    Raises:
        ValueError, RuntimeError: a stage failed; what is finished is kept and reused next time.
    """
    run_dir = open_run(plan)
    write_environment(run_dir, plan)
    stages = Stages(run_dir, say)
    with stages.time("quantize", lambda: sorted(ARTIFACTS_DIR.glob("*/*/manifest.json"))):
        make_artifacts(plan)
    started = False
    try:
        with stages.time("deploy", list):
            say(f"{len(plan.variants)} variants at {plan.serving.url}")
            started = up(plan, options, say, owned=True)
        with stages.time("load test", lambda: sorted(run_dir.glob("*/load.json"))):
            run_stage("loadtest", [sys.executable, "-m", "loadtest", *options])
        with stages.time("quality", lambda: sorted(run_dir.glob("*/quality*.json"))):
            run_quality(plan, run_dir, tell=say)
    finally:
        if started and (record := read_record()) is not None:
            stop(record)
    with stages.time("report", list):
        text, path = make_report(plan, run_dir)
    say(f"\n{text}\n{stages.table()}\n\nreport: {path}")


def make_report(plan: Plan, run_dir: Path) -> tuple[str, Path]:
    """Comparison, verdict and page from what was measured; returns the text and the page's path.

    Raises:
        ComparisonError: something is not measured yet; the message names the stage.
    """
    comparison = build_comparison(run_dir, plan)
    record = run_dir / "environment.json"
    if not record.is_file():
        write_environment(run_dir, plan)
    environment = json.loads(record.read_text())
    notes = [] if environment["gpu"] else [CPU_NOTE]
    verdict: VerdictFile = decide(comparison, plan.objectives, notes=notes)
    write_json(run_dir / "verdict.json", verdict.model_dump(mode="json"))
    path = write_report(run_dir)
    return render_terminal(comparison, verdict, concurrency=plan.objectives.concurrency), path
