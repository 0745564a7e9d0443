"""Serve is held against the direct child, and limits stand where the promise was made."""

import pytest

from tests.benches.serving.block_load import Outcome
from tests.benches.serving.cpu_use import busiest, microseconds_per_token
from tests.benches.serving.way_figures import DIRECT, GATEWAY, SERVE, Measured, by_way, figures_of


def block(way: str, concurrency: int, number: int, **changes: float) -> Measured:
    values = {"ttft_s": 0.05, "tpot_s": 0.02, "tokens": 400.0, **changes}
    result = Outcome(
        ttft_s=[values["ttft_s"]] * 3,
        tpot_s=[values["tpot_s"]] * 3,
        lag_s=[0.001] * 9,
        tokens=values["tokens"],
        seconds=4,
        errors=[],
    )
    return Measured(engine="null", way=way, concurrency=concurrency, round=number, outcome=result)


def met(concurrency: int, name: str, **changes: float) -> bool | None:
    """Whether a limit is met by what Serve shows, against a direct child that is as above."""
    blocks = [block(DIRECT, concurrency, number) for number in range(3)]
    blocks += [block(SERVE, concurrency, number, **changes) for number in range(3)]
    blocks += [block(GATEWAY, concurrency, number, ttft_s=9) for number in range(3)]
    figures = figures_of("null", concurrency, by_way(blocks, "null", concurrency))
    found = {figure.name: figure for figure in figures}
    assert found[f"null_c{concurrency}_gateway_ttft_ms"].met is None
    return found[f"null_c{concurrency}_serve_{name}"].met


@pytest.mark.parametrize(
    ("concurrency", "name", "change", "expected"),
    [
        (1, "ttft_ms", {"ttft_s": 0.0519}, True),
        (1, "ttft_ms", {"ttft_s": 0.0521}, False),
        (1, "tpot_ms", {"tpot_s": 0.02019}, True),
        (1, "tpot_ms", {"tpot_s": 0.02021}, False),
        (4, "ttft_ms", {"ttft_s": 0.5}, None),
        (16, "ttft_ms", {"ttft_s": 0.1049}, True),
        (16, "ttft_ms", {"ttft_s": 0.1051}, False),
        (64, "tok_per_s", {"tokens": 381}, True),
        (64, "tok_per_s", {"tokens": 379}, False),
    ],
)
def test_limits(
    concurrency: int, name: str, change: dict[str, float], expected: bool | None
) -> None:
    assert met(concurrency, name, **change) is expected


def test_figures_are_medians_over_the_rounds_with_their_spread() -> None:
    blocks = [block(DIRECT, 1, number, tokens=tokens) for number, tokens in enumerate((4, 40, 8))]
    told = by_way(blocks, "null", 1)[DIRECT]["tok_per_s"]
    assert (told.median, told.low, told.high) == (2, 1, 10)


def test_processor_time_is_told_per_token() -> None:
    used = microseconds_per_token({"HAProxy": 1.0}, {"HAProxy": 1.5}, 1000)
    assert used == {"HAProxy": pytest.approx(500)}


def test_a_profile_names_the_functions_in_which_the_samples_ended() -> None:
    raw = "main (a.py:1);send (b.py:2) 30\nmain (a.py:1);read (c.py:3) 60\nidle (d.py:4) 10\n"
    assert busiest(raw, 2) == [" 60.0%  read (c.py:3)", " 30.0%  send (b.py:2)"]
