"""Calibration of the load generator: what it adds to the latencies that it reports.

The real Locust process loads a null server, which answers on an exact schedule from a process of
its own. Whatever is measured beyond the schedule was added by the client, the loopback and the
null server together, so the figures are upper bounds of the client's own share.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loadtest.closed_loop import ClosedLoop
from loadtest.job import Job, Leg
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.prompts import PromptSource
from loadtest.records import RequestRecord
from tests.benches.harness.bench_figures import Figure
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.null_server import TPOT_S, TTFT_S, null_server

CONCURRENCIES = (1, 4, 16)
# What a client may add before its figures say more about itself than about a server: a tenth of
# the shortest TTFT and TPOT that the reference model shows on a CPU (50 ms and 10 ms).
TTFT_LIMIT_S = 0.005
TPOT_LIMIT_S = 0.001


def calibrate(run: BenchRun) -> None:
    """Load the null server at every concurrency and compare with its schedule; about 20 s."""
    for concurrency in CONCURRENCIES:
        with run.cell(f"c={concurrency}"):
            with tempfile.TemporaryDirectory(prefix="assay-calibrate-") as folder:
                records = _measure(Path(folder), concurrency)
            run.figures += figures_of([r for r in records if r.counted], concurrency)


def figures_of(records: Sequence[RequestRecord], concurrency: int) -> list[Figure]:
    """The median latency that was added at one concurrency.

    Raises:
        LoadTestError: a request failed, though the null server fails none.
    """
    failed = [record.error for record in records if record.error]
    if failed or not records:
        raise LoadTestError(f"the null server's requests failed: {failed[:1] or 'none was sent'}")
    parts = (("ttft", TTFT_S, TTFT_LIMIT_S), ("tpot", TPOT_S, TPOT_LIMIT_S))
    figures = []
    for name, schedule_s, limit_s in parts:
        measured = float(np.median([getattr(record, f"{name}_s") for record in records]))
        added_s = measured - schedule_s
        figures.append(
            Figure(
                name=f"{name}_added_c{concurrency}",
                value=added_s * 1000,
                unit="ms",
                against=schedule_s * 1000,
                ratio=added_s / schedule_s,
                limit=limit_s * 1000,
                met=abs(added_s) <= limit_s,
            )
        )
    return figures


def _measure(folder: Path, concurrency: int) -> list[RequestRecord]:
    prompts = folder / "prompts.npz"
    ids = np.arange(5000, dtype=np.int32)
    PromptSource(bos=1, ids=ids, starts=ids).save(prompts)
    with null_server() as port:
        point = ClosedLoop(concurrency)
        records: list[RequestRecord] = []
        job = Job(
            url=f"http://127.0.0.1:{port}",
            round=0,
            rounds=1,
            points=(point,),
            legs=(Leg(variant="null", point=point),),
            warmup_s=0.5,
            duration_s=3,
            prompt_tokens=128,
            output_tokens=32,
            request_timeout_s=30,
            prompts=prompts,
        )
        run_locust(
            job,
            html=folder / "locust.html",
            log=folder / "locust.log",
            on_leg=lambda _, found: records.extend(found),
        )
    return records
