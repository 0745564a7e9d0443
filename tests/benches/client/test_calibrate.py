import pytest

from loadtest.locust_process import LoadTestError
from loadtest.records import RequestRecord
from tests.benches.client.calibrate import figures_of
from tests.benches.harness.null_server import TPOT_S, TTFT_S
from tests.loadtest.examples import a_record, failed


def on_schedule(*, ttft_added_s: float = 0.0, tpot_added_s: float = 0.0) -> RequestRecord:
    first = TTFT_S + ttft_added_s
    last = first + 10 * (TPOT_S + tpot_added_s)
    return a_record(first_token_s=first, last_token_s=last, end_s=last)


def test_a_client_without_lag_adds_nothing() -> None:
    figures = figures_of([on_schedule()], 4)
    assert [figure.name for figure in figures] == ["ttft_added_c4", "tpot_added_c4"]
    assert [figure.value for figure in figures] == pytest.approx([0, 0], abs=1e-9)
    assert all(figure.met for figure in figures)


def test_lag_beyond_the_limit_is_not_met() -> None:
    ttft, tpot = figures_of([on_schedule(ttft_added_s=0.02, tpot_added_s=0.0005)], 1)
    assert (ttft.met, tpot.met) == (False, True)
    assert [ttft.value, tpot.value] == pytest.approx([20, 0.5])


def test_a_failed_request_stops_the_calibration() -> None:
    with pytest.raises(LoadTestError, match="HTTP 429"):
        figures_of([on_schedule(), failed()], 1)
