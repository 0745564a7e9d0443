"""The package under test is the one in this repository."""

from pathlib import Path

import quantize


def test_the_package_lies_in_this_repository() -> None:
    assert quantize.__file__ is not None
    assert Path(quantize.__file__).is_relative_to(Path(__file__).parents[2])
