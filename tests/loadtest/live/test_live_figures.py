from loadtest.live.live_figures import COLUMNS, KEPT, UNTOLD, LiveAnswer, LiveFigures


def an_answer(end_s: float, ttft_s: float = 0.1, **changes: float | None) -> LiveAnswer:
    values = {"tpot_s": 0.02, "max_gap_s": 0.03} | changes
    return LiveAnswer(
        end_s=end_s,
        ttft_s=ttft_s,
        tpot_s=values["tpot_s"],
        max_gap_s=values["max_gap_s"],
        tokens=10,
    )


def test_a_row_tells_of_the_latest_answers() -> None:
    figures = LiveFigures(name="a")
    for second in range(20):
        figures.take(an_answer(float(second), ttft_s=0.1 + second / 100))
    figures.take(None)
    row = figures.row(19.0)
    assert row.keys() == COLUMNS.keys()
    assert (row["answers"], row["failed"]) == ("20", "1")
    assert (row["ttft_p50"], row["ttft_p99"], row["tpot_p50"]) == ("190.0", "290.0", "20.0")
    assert row["gap_max"] == "30.0"
    assert row["tok_per_s"] == "11.0"  # of the answers from second 9 on


def test_nothing_answered_is_told_as_such_and_a_test_begins_anew() -> None:
    figures = LiveFigures(name="a")
    assert figures.row(0.0)["ttft_p50"] == UNTOLD
    figures.take(an_answer(1.0, tpot_s=None, max_gap_s=None))
    assert (figures.row(1.0)["tpot_p50"], figures.row(1.0)["gap_max"]) == (UNTOLD, UNTOLD)
    figures.clear()
    assert (figures.row(1.0)["answers"], figures.row(1.0)["ttft_p50"]) == ("0", UNTOLD)


def test_memory_is_bounded() -> None:
    figures = LiveFigures(name="a")
    for _ in range(KEPT + 10):
        figures.take(an_answer(0.0))
    assert (figures.answers, len(figures.latest)) == (KEPT + 10, KEPT)
