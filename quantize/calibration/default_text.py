"""Which text a model is calibrated on where nobody names one."""

from pathlib import Path

from quantize.calibration.calibration_set import BUNDLED, GENERAL
from quantize.source.source_model import REFERENCE, REFERENCE_WEIGHTS

_VOCABULARY = "tokenizer.json"


def default_text(model: str) -> str:
    """``bundled`` for the bundled model and what was made of it, ``general`` for every other.

    What was made of it has its vocabulary, which fits the bundled text alone. An id at Hugging Face
    is another model.
    """
    if model == REFERENCE:
        return BUNDLED
    try:
        own = (Path(model).expanduser() / _VOCABULARY).read_bytes()
    except OSError:
        return GENERAL
    return BUNDLED if own == (REFERENCE_WEIGHTS / _VOCABULARY).read_bytes() else GENERAL
