"""``python -m tests.benches.client``: what the load generator adds to what it measures, and costs.

The real Locust loads a null server at 1, 4, 16 and 128 streams of 50 tokens a second, and at 64 as
fast as an H100 sends them, by one process and by two; then at more and more streams, until its
certificate says that it is the limit. Writes ``results/bench/client.json``.
"""

import argparse

from tests.benches.client.calibrate import calibrate
from tests.benches.harness.bench_command import Bench, start
from tests.benches.harness.bench_run import BenchRun


def _measure(run: BenchRun, _: argparse.Namespace) -> None:
    calibrate(run)


BENCH = Bench(name="client", about=__doc__, measure=_measure, distributions=("locust", "gevent"))

if __name__ == "__main__":
    start(BENCH)
