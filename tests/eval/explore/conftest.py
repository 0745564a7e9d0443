"""The explorer looks at the tiny model and the text that the tests of ``quantize`` use."""

from tests.quantize.conftest import calibration_text, tiny

__all__ = ["calibration_text", "tiny"]
