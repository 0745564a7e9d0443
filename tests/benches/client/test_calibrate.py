import pytest

from loadtest.certificate import Added, Certified
from loadtest.client_cost import LONG, PACE, Cost
from loadtest.closed_loop import ClosedLoop
from tests.benches.client.calibrate import cost_figures, figures_of, saturation_figures, told
from tests.benches.harness.bench_run import BenchRun


def found(p99_s: float) -> Certified:
    added = Added(p50_s=0.0004, p99_s=p99_s)
    return Certified(
        point=ClosedLoop(4),
        pace=PACE,
        requests=100,
        ttft=added,
        end=added,
        worst_gap=added,
        cpu_share=0.1,
        saturated=False,
    )


def test_what_the_client_adds_is_held_to_a_millisecond_and_five() -> None:
    figures = {figure.name: figure for figure in figures_of(found(0.0049))}
    assert figures["ttft_added_p50_c4"].limit == 1
    assert figures["ttft_added_p99_c4"].limit == 5
    assert all(figure.met is not False for figure in figures.values())
    assert figures["worst_gap_added_p50_c4"].limit is None


def test_a_tail_beyond_the_limit_is_not_met() -> None:
    missed = [figure.name for figure in figures_of(found(0.0051)) if figure.met is False]
    assert missed == ["ttft_added_p99_c4", "worst_gap_added_p99_c4"]


def test_the_cost_of_a_request_is_held_against_mlperf_s_client() -> None:
    request, event = cost_figures(Cost(per_request_us=94, per_event_us=20))
    assert (request.value, request.ratio) == (94, 2)
    assert event.unit == "us"
    assert LONG > 2


def test_where_it_saturates_is_where_its_certificate_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        found(p99_s).model_copy(update={"point": ClosedLoop(streams)})
        for streams, p99_s in ((64, 0.001), (128, 0.004), (256, 0.02))
    ]
    figures = {
        it.name: it.value
        for it in saturation_figures(told(BenchRun(name="client", selection={}), steps))
    }
    assert figures == {"streams_borne": 128, "streams_void_from": 256}
    assert "VOID: the load generator adds 20.0 ms" in capsys.readouterr().out
    assert [it.name for it in saturation_figures(steps[:1])] == ["streams_borne"]
