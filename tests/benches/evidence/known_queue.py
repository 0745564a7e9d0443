"""A queue whose waits are known, and the search for its highest rate: simulated, and for real.

M/D/1: requests arrive at random, and one server serves each for the same time, in their order.
The simulation replaces Locust alone: arrivals, records, trials and the search are the product's.
The real one is the null server behind such a queue.
"""

import argparse
import asyncio
import math
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scipy import optimize

from deploy.plan import Plan
from deploy.plan_sections import Slo
from loadtest.client_health import go_first
from loadtest.intervals import Estimate
from loadtest.null_server import NullServer, Pace, precise_loop, server_process
from loadtest.open_loop import PoissonRate
from loadtest.prompts import plain_prompts
from loadtest.rate_search import FIRST_RATE, MOST_TRIALS, Trials, trial_of, trial_times
from loadtest.records import RequestRecord
from loadtest.slo_search import TARGET_SHARE, Trial, rate_estimate, searching

# As short as leaves what the client and the timers add a small part of it.
SERVICE_S = 0.01
# The objective: so many times the service.
LIMIT_TIMES = 4
VARIANT = "queue"
# A simulated trial has fewer requests; the next one goes on where it ends.
APART = 1000


def waits_at_most(rate: float, time_s: float, service_s: float) -> float:
    """P(wait <= t) of M/D/1 (Erlang 1909; Crommelin 1932).

    (1 - rate D) times the sum over k up to t / D of (-x)^k e^x / k!, where x = rate (t - k D).
    """
    total = 0.0
    for k in range(int(time_s / service_s + 1e-9) + 1):
        x = rate * (time_s - k * service_s)
        total += (-x) ** k / math.factorial(k) * math.exp(x)
    return (1 - rate * service_s) * total


def true_rate(service_s: float) -> float:
    """The rate at which just enough requests are answered within the objective."""

    def spare(rate: float) -> float:
        return waits_at_most(rate, (LIMIT_TIMES - 1) * service_s, service_s) - TARGET_SHARE

    return float(optimize.brentq(spare, 0.01 / service_s, 0.99 / service_s))


def slo_of(service_s: float) -> Slo:
    """What is asked of the queue."""
    return Slo(e2e_s=LIMIT_TIMES * service_s)


def simulated_trial(search: int, rate: float, number: int) -> Trial:
    """A trial as Locust would make it, each search with arrivals of its own."""
    times, point = trial_times(rate, 0.0), PoissonRate(rate)
    first = (search * MOST_TRIALS + number) * APART
    opens_s, records, free_s, due_s = times["warmup_s"], list[RequestRecord](), 0.0, 0.0
    ends_s, index = opens_s + times["duration_s"], 0
    while due_s < ends_s:
        free_s = max(free_s, due_s) + SERVICE_S
        records.append(_request(point, due_s, free_s, counted=due_s >= opens_s))
        index += 1
        due_s = point.due_s(first + index) - point.due_s(first)
    return trial_of(VARIANT, rate, records, slo_of(SERVICE_S))


def _request(point: PoissonRate, due_s: float, end_s: float, *, counted: bool) -> RequestRecord:
    return RequestRecord(
        variant=VARIANT,
        round=0,
        point=point,
        request_id="",
        counted=counted,
        scheduled_s=due_s,
        send_s=due_s,
        first_token_s=end_s,
        last_token_s=end_s,
        end_s=end_s,
        prompt_tokens=1,
        output_tokens=2,
        chunks=1,
        max_gap_s=None,
        status=200,
        error=None,
    )


def simulated_search(search: int) -> list[Trial]:
    """A whole search, of that number."""
    attempt = partial(simulated_trial, search)
    return list(searching([], FIRST_RATE, MOST_TRIALS, attempt))


class QueueServer(NullServer):
    """Answers one request after the other, each ``service_s`` after it was begun with."""

    def __init__(self, service_s: float) -> None:
        super().__init__()
        self._service_s = service_s
        self._free_s = 0.0

    async def stream(
        self,
        body: dict[str, Any],
        writer: asyncio.StreamWriter,
        *,
        tokens: int,
        done: bool = True,
        pace: Pace | None = None,
    ) -> None:
        """Stream the whole answer at once, when it is its turn and its time is over."""
        now_s = asyncio.get_running_loop().time()
        self._free_s = max(self._free_s, now_s) + self._service_s
        pace = Pace(ttft_s=self._free_s - now_s, gap_s=0.0, tokens_per_event=tokens)
        await super().stream(body, writer, tokens=tokens, done=done, pace=pace)


def queue_server(service_s: float) -> AbstractContextManager[int]:
    """The server in a process of its own, until the block ends; gives its port.

    Raises:
        RuntimeError: it does not start.
    """
    return server_process("tests.benches.evidence.known_queue", "--service", str(service_s))


@contextmanager
def real_trials(service_s: float, series: int) -> Iterator[Trials]:
    """What tries rates at such a server with the real Locust; searches differ by ``series``."""
    with queue_server(service_s) as port, tempfile.TemporaryDirectory(prefix="assay-queue-") as it:
        plain_prompts().save(Path(it) / "prompts.npz")
        plan = Plan.model_validate(
            {
                "name": VARIANT,
                "variants": ["gguf-q8_0"],
                "baseline": "gguf-q8_0",
                "serving": {"port": port},
                "load": {"warmup_s": 0, "prompt_tokens": 16, "output_tokens": 2},
                "objectives": {"slo": slo_of(service_s).model_dump(exclude_none=True)},
            }
        )
        yield Trials(plan=plan, prompts_file=Path(it) / "prompts.npz", run=Path(it), series=series)


def real_search(number: int, service_s: float = SERVICE_S) -> list[Trial]:
    """A whole search; blocks for some minutes.

    Raises:
        LoadTestError: Locust failed, or a trial was disturbed twice.
    """
    with real_trials(service_s, 0) as trials:
        first = number * MOST_TRIALS

        def attempt(rate: float, place: int) -> Trial:
            return trials.attempt(VARIANT, rate, first + place)

        return list(searching([], FIRST_RATE / service_s / 10, MOST_TRIALS, attempt))


def found_by(trials: list[Trial]) -> Estimate:
    """The rate that a search found; infinite where it found none."""
    return rate_estimate(trials) or Estimate(value=math.inf)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="known_queue")
    parser.add_argument("--service", type=float, required=True)
    go_first()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(QueueServer(parser.parse_args().service).serve(0))


if __name__ == "__main__":
    main()
