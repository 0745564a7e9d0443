"""One comparison after the other: which were called different, paired and unpaired."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deploy.plan_lengths import lengths_of
from deploy.plan_load import ClosedLoopLoad
from deploy.plan_sections import Slo
from loadtest.anytime import confidence_sequence
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from loadtest.job import Job, Leg, LegEnd
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.pairing import RoundFigures, log_ratios, ratio, round_figures
from loadtest.power import power_of
from loadtest.prompts import plain_prompts
from loadtest.records import RequestRecord
from loadtest.stats import CONFIDENCE
from tests.benches.harness.bench_figures import Figure, at_least, at_most

A, B = "a", "b"
STREAMS = 4
PROMPT_TOKENS, OUTPUT_TOKENS = 16, 16
# Short turns, and many of them: few have a neighbour who comes or goes between the two.
WARMUP_S = 0.05
# Of twenty comparisons, how many must be right: no difference seen, a difference seen.
SAME_SHARE, SEEN_SHARE = 0.95, 0.8
# A difference is called where the interval of this confidence excludes it: one of 95 % calls one of
# twenty equals different on average, and more than one in a quarter of all such series.
CALLED = 0.99
CURVE = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The rounds of a and b in one comparison, in which they took turns."""

    a: Sequence[RoundFigures]
    b: Sequence[RoundFigures]

    def paired(self, confidence: float = CALLED) -> Estimate:
        """The ratio b / a by rounds."""
        return self._ratio(self.a, confidence)

    def unpaired(self, confidence: float = CALLED) -> Estimate:
        """The same as if nobody knew which rounds belong together."""
        return self._ratio([replace(found, started_at="") for found in self.a], confidence)

    @property
    def stopped_after(self) -> int | None:
        """After how many rounds a confidence sequence first tells the two apart; None: never."""
        logs = log_ratios(self.b, self.a)
        counts = range(2, len(logs) + 1)
        return next((n for n in counts if _tells(confidence_sequence(logs[:n]), 0.0)), None)

    @property
    def log_ratios(self) -> list[float]:
        """Of every round."""
        return log_ratios(self.b, self.a)

    def _ratio(self, a: Sequence[RoundFigures], confidence: float) -> Estimate:
        found = ratio(self.b, a, confidence=confidence)
        assert found is not None, "a server that always answers has no round without tokens"
        return found


def _tells(found: Estimate, same: float) -> bool:
    return found.bounds is not None and not found.covers(same)


def legs_of(rounds: int) -> list[Leg]:
    """A B, B A, A B …: each leg's variant tells its round."""
    point = ClosedLoop(STREAMS)
    names = [
        f"{name}-{number}" for number in range(rounds) for name in ((A, B), (B, A))[number % 2]
    ]
    return [Leg(variant=name, point=point) for name in names]


def compare(port: int, *, rounds: int, duration_s: float) -> Compared:
    """Load both variants of a working server in turns; blocks for all of it.

    Raises:
        LoadTestError: Locust or a request failed.
    """
    found: dict[str, list[RoundFigures]] = {A: [], B: []}

    def keep(end: LegEnd, records: list[RequestRecord]) -> None:
        name, _, number = end.leg.variant.partition("-")
        if failed := [record.error for record in records if record.error]:
            raise LoadTestError(f"a request failed: {failed[0]}")
        mine = [replace(record, round=int(number)) for record in records]
        found[name] += round_figures(mine, Slo(), {int(number): f"round {number}"})

    with tempfile.TemporaryDirectory(prefix="assay-detect-") as folder:
        place, legs = Path(folder), legs_of(rounds)
        plain_prompts().save(place / "prompts.npz")
        job = Job(
            url=f"http://127.0.0.1:{port}",
            round=0,
            rounds=1,
            points=(legs[0].point,),
            legs=tuple(legs),
            loads=(
                ClosedLoopLoad(
                    warmup_s=WARMUP_S,
                    duration_s=duration_s,
                    prompt_tokens=lengths_of(PROMPT_TOKENS),
                    output_tokens=lengths_of(OUTPUT_TOKENS),
                ),
            ),
            request_timeout_s=60,
            prompts=place / "prompts.npz",
        )
        run_locust(job, html=place / "locust.html", log=place / "locust.log", on_leg=keep)
    return Compared(a=found[A], b=found[B])


def figures_of(name: str, compared: Sequence[Compared], *, differ: bool) -> list[Figure]:
    """How many comparisons were right, and what pairing gained."""
    count = len(compared)
    right = {
        "paired": sum(_tells(it.paired(), 1.0) is differ for it in compared) / count,
        "usual": sum(_tells(it.paired(CONFIDENCE), 1.0) is differ for it in compared) / count,
        "unpaired": sum(_tells(it.unpaired(), 1.0) is differ for it in compared) / count,
        "anytime": sum((it.stopped_after is not None) is differ for it in compared) / count,
    }
    word = "seen" if differ else "same"
    limit = SEEN_SHARE if differ else SAME_SHARE
    return [
        at_least(f"{name}_{word}_paired", right["paired"], "of all", limit, right["unpaired"]),
        at_least(f"{name}_{word}_anytime", right["anytime"], "of all", None if differ else limit),
        at_least(f"{name}_{word}_paired_at_95", right["usual"], "of all", None),
        at_least(f"{name}_{word}_unpaired", right["unpaired"], "of all", None),
        at_most(f"{name}_noise_paired", 100 * paired_noise(compared), "%", None),
        at_most(f"{name}_noise_between", 100 * between_noise(compared), "%", None),
        at_least(f"{name}_gain", gain_of(compared), "times less time", None),
    ]


def paired_noise(compared: Sequence[Compared]) -> float:
    """The standard deviation of a round's log ratio, root mean square over comparisons."""
    return _root_mean([float(np.var(it.log_ratios, ddof=1)) for it in compared])


def between_noise(compared: Sequence[Compared]) -> float:
    """The same of single variants' rounds."""
    sides = (side for it in compared for side in (it.a, it.b))
    return _root_mean(
        [
            float(np.var(np.log([found.output_tok_per_s for found in side]), ddof=1))
            for side in sides
        ]
    )


def gain_of(compared: Sequence[Compared]) -> float:
    """By how much pairing divides the variance of the ratio."""
    return 2 * between_noise(compared) ** 2 / paired_noise(compared) ** 2


def _root_mean(variances: Sequence[float]) -> float:
    return math.sqrt(sum(variances) / len(variances))


def operating_curve(noise: float, rounds: int) -> list[tuple[str, str]]:
    """With which probability so many paired rounds of that noise see a difference."""
    return [(f"{100 * s:g} %", f"{100 * power_of(s, noise, rounds, CALLED):.0f} %") for s in CURVE]
