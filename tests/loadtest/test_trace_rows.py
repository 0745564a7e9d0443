"""Traces are read in three formats, and a wrong line is told by its number."""

import json
from pathlib import Path

import pytest

from loadtest.prompts import PromptError
from loadtest.trace_rows import TracedRequest, read_trace

MOONCAKE = [
    {"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 48]},
    {"timestamp": 30535, "input_length": 600, "output_length": 26, "hash_ids": [46, 47]},
]
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:00.517610+00:00,2399,6
"""
BURST_GPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
45,ChatGPT,1087,230,1317,Conversation log
5,ChatGPT,472,18,490,Conversation log
50,GPT-4,417,0,417,Conversation log
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "trace"
    path.write_text(content, encoding="utf-8")
    return path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_mooncake_has_milliseconds_and_ids_of_blocks(tmp_path: Path) -> None:
    first, second = read_trace(written(tmp_path, lines(*MOONCAKE)))
    assert first == TracedRequest(
        at_s=0.0, prompt_tokens=1100, output_tokens=52, hash_ids=(46, 47, 48)
    )
    assert second.at_s == pytest.approx(3.053)
    assert second.hash_ids == (46, 47)


@pytest.mark.parametrize(
    ("content", "apart_s", "tokens"),
    [(AZURE, 4.314579, (374, 44)), (AZURE_2024, 0.50768, (2162, 5))],
)
def test_azure_has_dates_of_two_kinds(
    tmp_path: Path, content: str, apart_s: float, tokens: tuple[int, int]
) -> None:
    first, second = read_trace(written(tmp_path, content))
    assert (first.at_s, first.prompt_tokens, first.output_tokens) == (0.0, *tokens)
    assert second.at_s == pytest.approx(apart_s, abs=1e-5)


def test_burst_gpt_has_seconds_in_any_order_and_failures_that_are_left_out(tmp_path: Path) -> None:
    expected = [
        TracedRequest(at_s=0.0, prompt_tokens=472, output_tokens=18),
        TracedRequest(at_s=40.0, prompt_tokens=1087, output_tokens=230),
    ]
    assert read_trace(written(tmp_path, BURST_GPT)) == expected
    rows = [
        {"Timestamp": 45, "Request tokens": 1087, "Response tokens": 230},
        {"Timestamp": 5.0, "Request tokens": 472, "Response tokens": 18},
    ]
    assert read_trace(written(tmp_path, lines(*rows) + "\n")) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lines(MOONCAKE[0]) + '{"timestamp": \n', "line 2: Expecting value"),
        (lines(MOONCAKE[0], {"timestamp": 5}), "line 2: no 'input_length'"),
        (lines(MOONCAKE[0]) + "\n" + lines(MOONCAKE[0] | {"output_length": 0}), "line 3: output_l"),
        (lines(MOONCAKE[0] | {"hash_ids": [1.5]}), r"line 1: hash_ids: 1\.5 is no whole number"),
        (lines(MOONCAKE[0] | {"hash_ids": 7}), "line 1: hash_ids: 7 is no list"),
        (lines(MOONCAKE[0] | {"timestamp": "soon"}), "line 1: timestamp: 'soon' is no number"),
        (lines(MOONCAKE[0] | {"timestamp": True}), "line 1: timestamp: True is no number"),
        (lines(MOONCAKE[0], [1]), "line 2: no JSON object"),
        (AZURE + "2023-11-16 18:15:51,3\n", "line 4: 2 columns where line 1 names 3"),
        (AZURE + "yesterday,3,4\n", "line 4: Invalid isoformat string: 'yesterday'"),
        (AZURE + "2023-11-16 18:15:51,-3,4\n", "line 4: ContextTokens: '-3' is no whole number"),
        (BURST_GPT + "x,GPT-4,1,2,3,log\n", "line 5: Timestamp: 'x' is no number"),
        (BURST_GPT + "nan,GPT-4,1,2,3,log\n", "line 5: Timestamp: 'nan' is no number"),
        ("a,b\n1,2\n", "line 1: names neither Mooncake's"),
        ("{\n", "line 1: Expecting"),
        ("", "line 1: names neither"),
        (BURST_GPT.splitlines()[0] + "\n", "holds no request"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path: Path, content: str, why: str) -> None:
    with pytest.raises(PromptError, match=why):
        read_trace(written(tmp_path, content))


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"load\.trace: .*gone cannot be read"):
        read_trace(tmp_path / "gone")
