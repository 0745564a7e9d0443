"""Whether a calibration text is long enough, before any tool starts."""

from pathlib import Path

from tokenizers import Tokenizer

from quantize.calibration.calibration_set import CalibrationPlan, pack, read_documents

_VOCABULARY = "tokenizer.json"


def check_enough(model: Path, plan: CalibrationPlan) -> None:
    """Refuse a text that is too short; reads no more of it than is needed.

    A template makes another number of tokens of a chat, and a folder may hold its vocabulary in
    another form: then the tool itself has to tell.

    Raises:
        CalibrationError: the text is missing, malformed or too short.
    """
    documents = read_documents(plan.path)
    path = model / _VOCABULARY
    if path.is_file() and not any(document.messages for document in documents):
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        pack((tokenizer.encode(document.text).ids for document in documents), plan)
