"""A trace is replayed at its times and lengths, and shares what it says that it shared."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.plan_load import TraceLoad
from loadtest.asks import Ask, Asks
from loadtest.load_kinds import read_point
from loadtest.prompts import PromptError, load_prompts
from loadtest.summary import parts
from loadtest.trace_replay import TraceReplay
from tests.loadtest.examples import a_record, some_asks, some_prompts

# Two talks: the second request of each repeats the blocks of its first and adds one.
ROWS = [
    (0, 40, [7, 8, 9]),
    (1000, 40, [20, 21, 22]),
    (3000, 60, [7, 8, 9, 10]),
    (4000, 60, [20, 21, 22, 23]),
]
BLOCK = 16


def load(folder: Path, **changes: Any) -> TraceLoad:
    path = folder / "trace.jsonl"
    rows = [
        {"timestamp": at, "input_length": length, "output_length": 5, "hash_ids": ids}
        for at, length, ids in ROWS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = {"kind": "trace", "trace": str(path), "block_tokens": BLOCK}
    return TraceLoad.model_validate(content | changes)


def replay(folder: Path, point: TraceReplay, number: int = 0, **changes: Any) -> Asks:
    """The asks of a leg whose prompts have the numbers from ``number`` on."""
    section = load(folder, **changes)
    source = some_prompts()
    beside = TraceReplay.beside(section, folder, 2048)
    source = type(source)(bos=1, ids=source.ids, starts=source.starts, beside=beside)
    source.save(folder / "prompts.npz")
    kept = load_prompts(folder / "prompts.npz")
    assert kept.sha256() == source.sha256() != some_prompts().sha256()
    return some_asks(point, section, prompts=kept, number=lambda index: number + index)


def asked(asks: Asks, count: int) -> list[Ask]:
    return [asks.ask(asks.take(0.0, 0.0)) for _ in range(count)]


def test_requests_are_due_as_in_the_trace_times_the_speed_and_once_more_after_its_end(
    tmp_path: Path,
) -> None:
    asks = replay(tmp_path, TraceReplay(2.0))
    due = [asks.take(100.0, 0.0).due_s for _ in range(6)]
    # The gap between two laps is the mean one of the trace.
    assert due == pytest.approx([100, 100.5, 101.5, 102, 100 + 16 / 6, 100 + 16 / 6 + 0.5])
    assert asks.due_s(0) == 0


def test_equal_blocks_are_equal_ids_and_no_others_are(tmp_path: Path) -> None:
    one, two, one_more, two_more = asked(replay(tmp_path, TraceReplay(1.0)), 4)
    assert [ask.prompt_tokens for ask in (one, two, one_more, two_more)] == [40, 40, 60, 60]
    assert {ask.output_tokens for ask in (one, two, one_more, two_more)} == {5}
    # BOS comes before the blocks, so of the last block of the first request 7 ids are there.
    assert list(one_more.prompt[:40]) == list(one.prompt)
    assert list(two_more.prompt[:40]) == list(two.prompt)
    assert one.prompt[1:5] != two.prompt[1:5]
    assert one.prompt[1 + BLOCK : 5 + BLOCK] != two.prompt[1 + BLOCK : 5 + BLOCK]


def test_another_lap_or_leg_shares_nothing(tmp_path: Path) -> None:
    first = asked(replay(tmp_path, TraceReplay(1.0)), 8)
    other = asked(replay(tmp_path, TraceReplay(1.0), number=5000), 4)
    assert asked(replay(tmp_path, TraceReplay(1.0)), 8) == first
    beginnings = {tuple(ask.prompt[:16]) for ask in (*first, *other)}
    assert len(beginnings) == 2 * 3


def test_lengths_and_blocks_are_scaled_together(tmp_path: Path) -> None:
    one, _, one_more, _ = asked(replay(tmp_path, TraceReplay(1.0), length_scale=0.5), 4)
    assert (one.prompt_tokens, one_more.prompt_tokens, one.output_tokens) == (20, 30, 2)
    assert list(one_more.prompt[:20]) == list(one.prompt)


def test_a_request_that_does_not_fit_is_refused_with_the_scale_that_does(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"65 tokens, .* is 50: set load\.length_scale to 0\.76"):
        TraceReplay.beside(load(tmp_path), tmp_path, 50)
    TraceReplay.beside(load(tmp_path, length_scale=0.76), tmp_path, 50)


def test_prompts_without_ids_of_blocks_are_unique(tmp_path: Path) -> None:
    path = tmp_path / "azure.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        + "".join(f"2023-11-16 18:15:4{n},30,4\n" for n in range(5))
    )
    asks = replay(tmp_path, TraceReplay(1.0), trace=str(path))
    found = asked(asks, 10)
    assert {ask.prompt_tokens for ask in found} == {30}
    assert len({tuple(ask.prompt[:16]) for ask in found}) == 10


def test_lengths_of_its_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="prompt_tokens: lengths are those of the trace"):
        load(tmp_path, prompt_tokens=9)


def test_a_trace_is_told_in_fifths_of_its_window() -> None:
    point = TraceReplay(2.0)
    rows = [a_record(point=point, scheduled_s=float(n), send_s=float(n)) for n in range(11)]
    assert [part.name for part in parts(rows)][::4] == [
        "0 to 20 % of the window",
        "80 to 100 % of the window",
    ]
    assert read_point(point.key) == point
    assert (point.counts_from_due, point.decides, point.changes) == (True, True, True)
