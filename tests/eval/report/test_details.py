"""What a run says of its own load test, as the page shows it."""

from pathlib import Path

from eval.report.page import write_report
from eval.schema import ComparisonFile, VerdictFile
from loadtest.certificate import Added, Certificate, Certified
from loadtest.closed_loop import ClosedLoop
from loadtest.intervals import Estimate
from loadtest.null_server import Pace
from loadtest.pairing import Noise, RoundFigures
from tests.eval.report import builders, verdicts
from tests.eval.report.run_files import write_run

CASE = (builders.comparison(), verdicts.recommended())
ADDED = Added(p50_s=0.0004, p99_s=0.0021)
CERTIFIED = Certified(
    point=ClosedLoop(16),
    pace=Pace(ttft_s=0.05, gap_s=0.01),
    requests=77,
    ttft=ADDED,
    end=ADDED,
    worst_gap=ADDED,
    cpu_share=0.125,
    saturated=False,
)


def told() -> tuple[ComparisonFile, VerdictFile]:
    found, verdict = CASE
    rounds = tuple(
        RoundFigures(
            round=n, started_at=str(n), output_tok_per_s=1.0, goodput_per_s=1.0, e2e_p50_s=1.0
        )
        for n in range(6)
    )
    measured = {
        "rounds": rounds,
        "paired": True,
        "noise": Noise(within=0.013, between=0.21, paired=0.017, gain=305.0),
        "settling": Estimate(value=1.01, low=0.99, high=1.03),
        "service_e2e_s": {"p50": Estimate(value=0.123, low=0.12, high=0.13)},
    }
    variants = [
        v.model_copy(
            update={
                "load": [level.model_copy(update=measured) for level in v.load],
                "certificate": Certificate(before=(CERTIFIED,), after=(CERTIFIED,)),
                "slo_rate_per_s": Estimate(value=6.17, low=6.0, high=6.4),
                "slo_trials": 42,
            }
        )
        for v in found.variants
    ]
    return found.model_copy(update={"variants": variants}), verdict


def test_the_page_tells_noise_pairing_client_waiting_and_the_highest_rate(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", *told())).read_text()
    for words in (
        "How much throughput varies, and what pairing gains",
        "21.0 %",
        "1.7 %",
        "What the load generator adds",
        "2.10 ms",
        "after, a chunk every 10.0 ms",
        "Response and service",
        "123 ms",
        "The highest rate that meets the SLO",
        "6.17",
    ):
        assert words in page, words


def test_a_run_from_before_has_none_of_these_tables(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", *CASE)).read_text()
    for words in ("what pairing gains", "What the load generator adds", "Response and service"):
        assert words not in page


def test_locust_s_pages_of_all_variants_are_linked_from_the_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", *CASE)
    (folder / "locust-round0.html").write_text("<!doctype html>")
    assert '<a href="locust-round0.html">locust-round0</a>' in write_report(folder).read_text()
