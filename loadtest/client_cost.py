"""What the client costs by itself, and where it ends: per request, per event, and in streams.

Two loads of equally many streams, one of short and one of long answers, give two equations for the
client's processor time: seconds = requests x per request + events x per event. Then the streams are
doubled, each of 50 events a second, until the client adds too much or has no processor left; by one
process, and by as many as a load test would be given.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.certificate import Certified, Meeting, certified, meet
from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.null_server import Pace
from loadtest.processes import MOST
from loadtest.prompts import PromptSource
from quantize.processors import usable_cpus

PACE = Pace(ttft_s=0.05, gap_s=0.02)
STREAMS = 32
SHORT, LONG = 2, 64
LADDER = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
DURATION_S = 3.0
PROMPT_TOKENS = 128
MICROSECONDS = 1e6


@dataclass(frozen=True, kw_only=True)
class Busy:
    """What a load asked of the client, per second of wall time, and the processor time it took."""

    requests_per_s: float
    events_per_s: float
    cpu_share: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Microseconds of one core."""

    per_request_us: float
    per_event_us: float

    def streams(self, pace: Pace, tokens: int) -> float:
        """How many streams of such answers would take a whole core."""
        cycle_s = pace.end_s(tokens)
        answer_us = self.per_request_us + tokens * self.per_event_us
        return cycle_s * MICROSECONDS / answer_us


def cost_of(short: Busy, long: Busy) -> Cost:
    """Solve the two equations; what noise makes negative is 0."""
    asked = np.array([[it.requests_per_s, it.events_per_s] for it in (short, long)])
    used = np.array([short.cpu_share, long.cpu_share])
    request_s, event_s = np.maximum(np.linalg.solve(asked, used), 0.0)
    return Cost(
        per_request_us=float(request_s) * MICROSECONDS, per_event_us=float(event_s) * MICROSECONDS
    )


def busy_of(found: Meeting, point: LoadPoint, tokens: int) -> Busy:
    """What one load point asked and took."""
    level = found.ends[point].level
    cycles = [record.cycle_s for record in found.records[point] if record.counted]
    requests_per_s = len(cycles) / point.seconds(cycles)
    return Busy(
        requests_per_s=requests_per_s,
        events_per_s=requests_per_s * tokens,
        cpu_share=(level.client.cpu_s or 0.0) / level.counted_s,
    )


def measure_cost(prompts: PromptSource) -> Cost:
    """Measure both loads; blocks for about 20 s.

    Raises:
        LoadTestError: Locust or a request failed.
    """
    point = ClosedLoop(STREAMS)
    found = [busy_of(_meet([point], prompts, tokens), point, tokens) for tokens in (SHORT, LONG)]
    return cost_of(*found)


def climb(
    prompts: PromptSource, streams: Sequence[int] = LADDER, processes: int = 1
) -> Iterator[Certified]:
    """Certify the client at more and more streams, up to the first at which it is the limit.

    Raises:
        LoadTestError: Locust or a request failed.
    """
    for count in streams:
        point = ClosedLoop(count)
        found = _meet([point], prompts, LONG, processes)
        client = found.ends[point].level.client
        step = certified(found.records[point], PACE, client, LONG)
        yield step
        if step.why_void:
            return


def _meet(
    points: Sequence[LoadPoint], prompts: PromptSource, tokens: int, processes: int = 1
) -> Meeting:
    return meet(
        dict.fromkeys(points, PACE),
        prompts,
        prompt_tokens=PROMPT_TOKENS,
        output_tokens=tokens,
        duration_s=DURATION_S,
        processes=processes,
    )


def calibrate(prompts: PromptSource, say: Callable[[str], None]) -> None:
    """Tell what the client costs and where it saturates, line by line."""
    cost = measure_cost(prompts)
    say(
        f"the client costs {cost.per_request_us:.0f} us of a core per request and "
        f"{cost.per_event_us:.0f} us per event: a whole core for "
        f"{cost.streams(PACE, LONG):,.0f} streams of {1 / PACE.gap_s:.0f} events a second"
    )
    for processes in sorted({1, min(MOST, max(1, usable_cpus() // 2))}):
        say(f"with {processes} of its processes:")
        for step in climb(prompts, processes=processes):
            say(step.words + (f"; SATURATED: {step.why_void}" if step.why_void else ""))
