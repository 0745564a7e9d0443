"""What a recipe is: the data that says how weights are quantized and what must come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from quantize.formats.storage_format import Parameter, StorageFormat, WeightFormat

Method = Literal["copy", "gptq", "awq", "rtn", "gguf", "modelopt", "native"]


# How the names of recipes begin that serve a checkpoint as others published it.
NATIVE = "native-"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How weights are quantized: a storage format, and how the weights get there.

    ``parameters`` are the method's own; what else is known of the artifact follows from them and
    from the row of ``format``. ``most_bits`` is the most that a weight may cost where the recipe
    sets a budget for a mix. ``source`` names the recipe whose artifact is read (None: the source
    model itself).
    """

    name: str
    method: Method
    format: StorageFormat
    calibrated: bool = False
    source: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=lambda: MappingProxyType({}))
    most_bits: float | None = None

    @property
    def group_size(self) -> int | None:
        """How many inputs share a scale (WHOLE_ROW: all), where the recipe chooses that."""
        size = self.parameters.get("group_size")
        return None if size is None else int(size)

    @property
    def as_published(self) -> bool:
        """Whether its artifact is a checkpoint of others, served as it is."""
        return self.method == "native"

    @property
    def weight_format(self) -> WeightFormat:
        """The kind of file that holds the weights."""
        return self.format.weight_format

    @property
    def bits(self) -> int:
        """The nominal width of one weight of a quantized layer, scales left out."""
        return self.format.bits

    @property
    def effective_bits(self) -> tuple[float, float]:
        """What a weight may really cost (inclusive, scales and zero points counted).

        What it costs is measured and stands in the artifact's manifest.
        """
        least, most = self.format.effective_bits(self.group_size)
        return least, most if self.most_bits is None else self.most_bits

    @property
    def layer_kinds(self) -> frozenset[str]:
        """The names of the ways in which a linear layer may be stored (``NVFP4``, ``Q4_K``)."""
        return self.format.layer_kinds

    @property
    def row_multiple(self) -> int:
        """What the inner dimension of every linear layer must be a multiple of."""
        return self.format.row_multiple(self.group_size)

    @property
    def announced(self) -> Mapping[str, Parameter]:
        """What ``quantization_config`` in ``config.json`` must say, by dotted path."""
        return self.format.announcement(self.parameters)
