from dataclasses import replace

from loadtest.intervals import Estimate
from tests.benches.soak.answers import Judgement, Outcome
from tests.benches.soak.assessment import (
    after_warm_up,
    count_figures,
    lasting,
    memory_figures,
    passing_figure,
    steadiness,
    table,
    together,
)
from tests.benches.soak.processes import Sample
from tests.benches.soak.service_figures import (
    error_figures,
    latencies,
    state_figures,
    throughput_figure,
)

MIB = 2**20
HOUR_S = 3600.0


def series(role: str, pid: int, mib_per_h: float = 0.0, fds_per_h: float = 0.0) -> list[Sample]:
    return [
        Sample(
            at_s=float(at_s),
            pid=pid,
            born=1.0,
            role=role,
            pss_bytes=int((100 + mib_per_h * at_s / HOUR_S) * MIB),
            rss_bytes=int((150 + mib_per_h * at_s / HOUR_S) * MIB),
            descriptors=int(20 + fds_per_h * at_s / HOUR_S),
            threads=5,
        )
        for at_s in range(0, 3600, 10)
    ]


def outcome(at_s: float, tokens: int, judgement: Judgement = "answered") -> Outcome:
    return Outcome(
        number=0,
        kind="chat, stream",
        variant="v",
        path="/",
        judgement=judgement,
        sent_s=at_s,
        first_s=at_s + 0.1,
        end_s=at_s + 0.5,
        status=200,
        output_tokens=tokens,
    )


def test_a_leaking_process_misses_its_limit_and_a_flat_one_meets_it() -> None:
    rows = [
        steadiness(after_warm_up(series("leaks", 1, 30), HOUR_S)),
        steadiness(series("flat", 2)),
    ]
    assert [row.growth for row in rows] == ["grows", "flat"]
    met = {figure.name: figure.met for figure in memory_figures(rows)}
    assert met == {
        "PSS slope, leaks (1)": False,
        "RSS slope, leaks (1)": False,
        "PSS slope, flat (2)": True,
        "RSS slope, flat (2)": True,
    }
    assert "leaks" in table(rows)


def test_all_processes_together_must_be_proven_flat_where_one_may_stay_unproven() -> None:
    wide = Estimate(value=0.0, low=-50.0, high=50.0)
    one = replace(steadiness(series("one", 1)), pss=wide, rss=wide)
    every = replace(together(series("one", 1)), pss=wide, rss=wide)
    assert [figure.met for figure in memory_figures([one, every])] == [True, True, False, False]


def test_descriptors_that_grow_miss_their_limit() -> None:
    rows = [steadiness(series("p", 1, fds_per_h=60))]
    assert rows[0].more
    met = [figure.met for figure in count_figures(rows)]
    assert met == [False, True]


def test_what_grows_in_many_small_parts_grows_as_a_whole() -> None:
    parts = [sample for pid in range(10) for sample in series(str(pid), pid, 3)]
    assert {row.growth for row in map(steadiness, lasting(parts)[0])} == {"flat"}
    assert together(parts).growth == "grows"


def test_a_process_that_came_late_is_told_apart_even_with_the_pid_of_one_that_went() -> None:
    whole = series("whole", 1)
    late = [replace(s, pid=2, born=9.0) for s in series("late", 2) if s.at_s > 3000]
    gone = [s for s in series("gone", 2) if s.at_s < 600]
    stayed, passing = lasting([*whole, *late, *gone])
    assert [group[0].role for group in stayed] == ["whole"]
    assert {group[0].role for group in passing} == {"late", "gone"}


def test_one_unexplained_answer_misses_the_limit() -> None:
    fine = [outcome(1.0, 8)]
    assert error_figures(fine)[-1].met
    assert not error_figures([*fine, outcome(2.0, 0, "unexplained")])[-1].met
    assert not error_figures([])[-1].met


def test_a_variant_that_restarted_or_says_nothing_at_the_end_misses_its_limits() -> None:
    states = {"a": {"in_flight": 0, "restarts": 0}, "b": {"in_flight": 0, "restarts": 1}}
    met = {figure.name: figure.met for figure in state_figures(("a", "b", "c"), states)}
    assert met == {
        "a, in_flight at the end": True,
        "a, restarts at the end": True,
        "b, in_flight at the end": True,
        "b, restarts at the end": False,
        "c, in_flight at the end": False,
        "c, restarts at the end": False,
    }


def test_throughput_that_falls_misses_the_limit_and_warm_up_counts_for_nothing() -> None:
    steady = [outcome(float(at_s), 10) for at_s in range(3600)]
    assert throughput_figure(steady, HOUR_S).met
    slowing = [o for o in steady if o.sent_s < 2800 or (o.number % 2 == 0 and o.sent_s % 2 == 0)]
    assert not throughput_figure(slowing, HOUR_S).met
    slow_start = [o for o in steady if o.sent_s > 530]
    assert throughput_figure(slow_start, HOUR_S).met
    assert min(latencies(steady, HOUR_S)["v, TTFT"]) > 99
    assert len(latencies(steady, HOUR_S)["v, end to end"]) == 3600 - 540


def test_a_variants_process_that_came_late_misses_the_limit_and_an_idle_worker_does_not() -> None:
    idle = [s for s in series("IDLE", 2) if s.at_s > 3000]
    engine = [s for s in series("gguf-q8_0: server", 3) if s.at_s > 3000]
    assert passing_figure([idle]).met
    assert not passing_figure([idle, engine]).met
