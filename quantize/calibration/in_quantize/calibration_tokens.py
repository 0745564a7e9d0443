"""The calibration set as token ids; in an environment that has transformers.

Every tool that calibrates reads the same sequences, so that recipes differ by their method alone.
"""

from pathlib import Path

from transformers import AutoTokenizer

from quantize.calibration.calibration_set import CalibrationPlan, pack, read_texts


def calibration_tokens(model: Path, plan: CalibrationPlan) -> list[list[int]]:
    """The calibration set in the model's own tokens: (samples, sequence_length) ids.

    Raises:
        CalibrationError: the text is missing, malformed or too short.
    """
    tokenizer = AutoTokenizer.from_pretrained(model)
    texts = read_texts(plan.path)
    return pack((tokenizer(text)["input_ids"] for text in texts), plan)
