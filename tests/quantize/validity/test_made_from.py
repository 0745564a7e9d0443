"""A key stands for all parts, and two sets of parts say what changed between them."""

import pytest

from quantize.validity.made_from import key_of, parts_of, what_changed

PARTS = parts_of(code="c0de", tool="gptqmodel 7.6.0", parameters={"bits": 4, "group_size": 128})


def test_a_short_part_stays_readable_and_a_long_one_is_hashed_whatever_its_order() -> None:
    assert PARTS["tool"] == "gptqmodel 7.6.0"
    assert len(PARTS["parameters"]) == 64
    assert parts_of(parameters={"group_size": 128, "bits": 4})["parameters"] == PARTS["parameters"]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_decides_the_key(part: str) -> None:
    assert key_of(PARTS) != key_of(PARTS | {part: "another"})
    assert key_of(PARTS) == key_of(dict(reversed(PARTS.items())))


@pytest.mark.parametrize(
    ("today", "words"),
    [
        (PARTS | {"code": "n3w"}, "code changed"),
        (PARTS | {"code": "n3w", "tool": "gptqmodel 8"}, "code and tool changed"),
        (
            PARTS | {"code": "n", "tool": "t", "parameters": "p"},
            "code, parameters and tool changed",
        ),
        (PARTS | {"key_types": "new"}, "key types changed"),
    ],
)
def test_what_changed_is_said_in_words(today: dict[str, str], words: str) -> None:
    assert what_changed(PARTS, today) == words


def test_a_result_that_tells_no_parts_is_said_to_tell_none() -> None:
    assert what_changed({}, PARTS) == "it does not say what it was made from"
