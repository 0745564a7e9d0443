"""What an event costs each load generator in processor time, at a server that only sends."""

from collections.abc import Mapping
from dataclasses import replace

from loadtest.client_cost import measure_cost
from loadtest.prompts import plain_prompts
from tests.benches.agreement.peers import PEERS, Ask, run_peer
from tests.benches.harness.bench_figures import at_most
from tests.benches.harness.bench_run import BenchRun

# Answers of so many tokens tell what an event costs, beside shorter ones.
LONG_TOKENS = 160


def cost_figures(run: BenchRun, ask: Ask, few_s: Mapping[str, float]) -> None:
    """Measure ours, and each peer whose processor seconds at ``ask`` are known (``few_s``)."""
    ours_us = None
    with run.cell("what an event costs ours"):
        ours_us = measure_cost(plain_prompts()).per_event_us
        run.figures.append(at_most("event_cost_ours", ours_us, "us", None))
    many = replace(ask, output_tokens=LONG_TOKENS)
    more = ask.requests * (LONG_TOKENS - ask.output_tokens)
    for name, seconds in few_s.items():
        with run.cell(f"what an event costs {name}"):
            cost_us = event_cost_us(seconds, run_peer(PEERS[name], many).cpu_s, more)
            run.figures.append(at_most(f"event_cost_{name}", cost_us, "us", None, ours_us))


def event_cost_us(few_s: float, many_s: float, more_events: int) -> float:
    """Microseconds per event, from the processor seconds of two runs of as many requests.

    What a start and a request cost is in both of them, and cancels.
    """
    return (many_s - few_s) / more_events * 1e6
