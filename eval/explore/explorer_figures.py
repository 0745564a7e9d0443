"""``figures.json``: every number that the explorer's page shows.

SNR is 10 log10(sum x^2 / sum (x - Q(x))^2) in dB; None where nothing was lost (x = Q(x)). Losses
are in nats per token.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

FIGURES_NAME = "figures.json"


class ExploreError(ValueError):
    """The figures cannot be made or read; the message says what to change."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FormatFacts(_Strict):
    """A number format and how it spends its bits.

    ``scale_bits`` is what scales and zero points cost per weight. ``block`` is how many values
    share a scale: None for one per tensor, 0 for no scale at all. ``smallest`` (positive),
    ``smallest_normal`` and ``largest`` are those of one element, None for integers.
    """

    name: str
    label: str
    family: Literal["floating point", "scaled blocks", "integer groups", "GGUF"]
    sign_bits: int
    exponent_bits: int
    mantissa_bits: int
    scale_bits: float
    block: int | None
    scaling: str
    smallest: float | None = None
    smallest_normal: float | None = None
    largest: float | None = None

    @property
    def bits(self) -> float:
        """Bits per weight, everything counted."""
        return self.sign_bits + self.exponent_bits + self.mantissa_bits + self.scale_bits


class Grid(_Strict):
    """Every value of 0 and above that one element can take, ascending, without its scale."""

    name: str
    label: str
    values: tuple[float, ...]


class DataSet(_Strict):
    """What was rounded; ``tensors`` is 1 for synthetic data, else the number of layers pooled.

    ``crest`` is the largest magnitude over the root mean square (of the median tensor).
    """

    name: str
    label: str
    made: str
    tensors: int
    crest: float


class Snr(_Strict):
    """SNR of a format on a data set: the median over its tensors, and the worst and best one."""

    data: str
    format: str
    median_db: float | None
    low_db: float | None
    high_db: float | None


class Histogram(_Strict):
    """How large the errors are: log10(|x - Q(x)| / RMS of x).

    ``counts`` belong to equal bins between ``low`` and ``high`` and are shares of all values;
    ``exact`` is the share of values without error; what lies outside is in neither.
    """

    data: str
    format: str
    low: float
    high: float
    counts: tuple[float, ...]
    exact: float


class BlockPoint(_Strict):
    """E2M1 with one scale per ``block`` values (None: per tensor), kept in the format ``scale``."""

    data: str
    scale: str
    block: int | None
    bits: float
    snr_db: float


class LayerSnr(_Strict):
    """One linear layer in one format: its weights, and its inputs (None: not collected)."""

    layer: str
    block: int
    kind: str
    format: str
    weight_db: float | None
    input_db: float | None
    weight_crest: float
    input_crest: float | None


class Cell(_Strict):
    """One layer quantized, all others left alone.

    ``rise`` is the mean rise of the loss over the tokens in nats and ``rise_error`` its standard
    error; ``divergence`` the mean KL divergence from the unquantized model, in nats per token.
    """

    format: str
    block: str
    kind: str
    rise: float
    rise_error: float
    divergence: float


class Sensitivity(_Strict):
    """The heat map; without cells, ``why_not`` says why nothing was measured."""

    tokens: int
    loss: float | None
    formats: tuple[str, ...]
    blocks: tuple[str, ...]
    kinds: tuple[str, ...]
    cells: tuple[Cell, ...]
    why_not: str = ""


class Figures(_Strict):
    """The whole file; ``inputs_sha256`` is the key of ``made_from``, which schema 1 had not."""

    schema_version: Literal[1, 2] = 2
    inputs_sha256: str
    made_from: dict[str, str] = {}
    model: str
    parameters: int
    stored_as: str
    calibration: str
    seconds: float
    formats: tuple[FormatFacts, ...]
    grids: tuple[Grid, ...]
    data: tuple[DataSet, ...]
    snr: tuple[Snr, ...]
    histograms: tuple[Histogram, ...]
    blocks: tuple[BlockPoint, ...]
    layers: tuple[LayerSnr, ...]
    sensitivity: Sensitivity

    def facts(self, name: str) -> FormatFacts:
        """The format of that name."""
        return next(facts for facts in self.formats if facts.name == name)

    def snr_of(self, data: str, name: str) -> Snr | None:
        """The SNR of a format on a data set, None where it was not measured."""
        return next((s for s in self.snr if s.data == data and s.format == name), None)


def read_figures(folder: Path) -> Figures:
    """The figures in a folder.

    Raises:
        ExploreError: there are none, or the file is malformed.
    """
    path = folder / FIGURES_NAME
    try:
        return Figures.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ExploreError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise ExploreError(f"{path}: {error}") from None
