import itertools

import pytest

from services.server.detokenizer import Detokenizer


def stream(pieces: list[bytes], *stops: str) -> tuple[list[str], bool]:
    detokenizer = Detokenizer(stops)
    texts = []
    for piece in pieces:
        texts.append(detokenizer.push(piece))
        if detokenizer.stopped:
            break
    return [*texts, detokenizer.finish()], detokenizer.stopped


def test_a_character_split_over_tokens_comes_out_whole() -> None:
    assert stream([b"a", b"\xe2", b"\x82", b"\xac", b"b"]) == (["a", "", "", "€", "b", ""], False)


@pytest.mark.parametrize("stops", [(), ("x",)])
def test_an_unfinished_character_at_the_end_is_not_shown(stops: tuple[str, ...]) -> None:
    assert "".join(stream([b"a", b"\xe2\x82"], *stops)[0]) == "a"


def test_what_is_no_character_is_a_replacement_character_once_another_follows() -> None:
    assert stream([b"a", b"\xe2\x82", b"b"]) == (["a", "", "�b", ""], False)


def test_a_stop_string_over_several_tokens_is_never_given_out() -> None:
    texts, stopped = stream([b"one ", b"ST", b"OP", b" two"], "STOP")
    assert stopped
    assert texts == ["one ", "", "", ""]


def test_text_that_only_looked_like_a_stop_string_is_given_out_later() -> None:
    texts, stopped = stream([b"ST", b"ART"], "STOP")
    assert not stopped
    assert texts == ["", "START", ""]


def test_held_text_is_given_out_at_the_end() -> None:
    assert stream([b"x ST"], "STOP") == (["x ", "ST"], False)


def test_the_earliest_of_several_stop_strings_counts() -> None:
    assert stream([b"a, b. c"], ".", ",") == (["a", ""], True)


@pytest.mark.parametrize("stop", ["aab", "b€", "€€"])
def test_any_split_of_the_bytes_gives_the_same_text(stop: str) -> None:
    raw = "caaab€€x".encode()
    expected = raw.decode().partition(stop)[0]
    for first, second in itertools.combinations(range(1, len(raw)), 2):
        texts, stopped = stream([raw[:first], raw[first:second], raw[second:]], stop)
        assert stopped
        assert "".join(texts) == expected
