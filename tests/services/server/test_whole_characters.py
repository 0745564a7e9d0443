import numpy as np
import pytest

from services.server.whole_characters import WholeCharacters, open_bytes

# Every byte alone, and tokens that end or begin within a character.
PIECES = [bytes([n]) for n in range(256)] + [b"ab", "é".encode(), b"a\xe2\x82", b"\xac!", b""]
TOKENS = WholeCharacters(PIECES)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (b"ab", b""),
        ("é€😀".encode(), b""),
        (b"a\xe2\x82", b"\xe2\x82"),
        (b"\xf0\x9f", b"\xf0\x9f"),
        (b"\xe0\x81", None),
        (b"\xed\xa0", None),
        (b"\xc0", None),
        (b"\x82", None),
        (b"\xe2a", None),
    ],
)
def test_bytes_are_whole_unfinished_or_no_text(text: bytes, rest: bytes | None) -> None:
    assert open_bytes(text) == rest


def test_what_may_follow_is_what_the_decoder_takes_whatever_is_unfinished() -> None:
    beginnings = [b"", b"\xc3", b"\xe0", b"\xe0\xa0", b"\xe2\x82", b"\xed", b"\xed\x80", b"\xf0"]
    beginnings += [b"\xf0\x90", b"\xf1\x80", b"\xf4", b"\xf4\x80", b"\xf4\x80\x80", b"\xf1\x80\x80"]
    for unfinished in beginnings:
        expected = [open_bytes(unfinished + piece) is not None for piece in PIECES]
        if unfinished:
            # An end token would leave the character as it is.
            expected[PIECES.index(b"")] = False
        assert np.array_equal(TOKENS.may_follow(unfinished), np.array(expected)), unfinished


def test_a_token_leaves_unfinished_what_its_bytes_leave() -> None:
    begun, ended = PIECES.index(b"a\xe2\x82"), PIECES.index(b"\xac!")
    assert TOKENS.after(b"", begun) == b"\xe2\x82"
    assert TOKENS.after(b"\xe2\x82", ended) == b""
    assert TOKENS.after(b"\xe2", 0x82) == b"\xe2\x82"
    assert TOKENS.after(b"", ord("a")) == b""
