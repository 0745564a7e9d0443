"""What the steps of the ``gguf-*`` recipes are asked and answer; known on both sides of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.calibration.calibration_set import Calibrated, CalibrationPlan
from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class GgufQuantizeRequest:
    """Write ``target`` from ``source`` as a file type of llama.cpp, weighted by an ``imatrix``."""

    source: Path
    target: Path
    file_type: str
    threads: int
    imatrix: Path | None


@dataclass(frozen=True, kw_only=True)
class GgufQuantized:
    """The tensors that llama.cpp stored as another type because of their width, each with it."""

    fallbacks: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ImatrixRequest:
    """Write the importance matrix of ``model`` to ``output`` under llama.cpp's names.

    ``architecture`` is llama.cpp's word for the model's kind.
    """

    model: Path
    architecture: str
    calibration: CalibrationPlan
    threads: int
    output: Path


@dataclass(frozen=True, kw_only=True)
class TextsRequest:
    """Tokenize texts with the own tokenizer of ``model``."""

    model: Path
    texts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadText:
    """A text as a tokenizer read it; ``special``: the tokens were added that frame a text."""

    text: str
    special: bool
    ids: list[int]


@dataclass(frozen=True, kw_only=True)
class ReadTexts:
    """What the model's tokenizer made of the texts, and of a chat where its template takes one.

    ``has_template`` says whether there is a default chat template at all.
    """

    items: list[ReadText]
    has_template: bool


@dataclass(frozen=True, kw_only=True)
class GgufTextsRequest:
    """Tokenize the same texts with the tokenizer in a GGUF file."""

    model: Path
    items: list[ReadText]


@dataclass(frozen=True, kw_only=True)
class GgufTokens:
    """The token ids of every text."""

    ids: list[list[int]]


GGUF_QUANTIZE = JobModule(
    module="quantize.by_llamacpp.in_llamacpp.gguf_quantize",
    environment="llamacpp",
    request=GgufQuantizeRequest,
    tells=(Progress,),
    reply=GgufQuantized,
)
IMATRIX_COLLECT = JobModule(
    module="quantize.by_llamacpp.in_quantize.imatrix_collect",
    environment="quantize",
    request=ImatrixRequest,
    tells=(Progress,),
    reply=Calibrated,
)
HF_TOKENIZE = JobModule(
    module="quantize.by_llamacpp.in_quantize.hf_tokenize",
    environment="quantize",
    request=TextsRequest,
    tells=(Progress,),
    reply=ReadTexts,
)
GGUF_TOKENIZE = JobModule(
    module="quantize.by_llamacpp.in_llamacpp.gguf_tokenize",
    environment="llamacpp",
    request=GgufTextsRequest,
    tells=(Progress,),
    reply=GgufTokens,
)
