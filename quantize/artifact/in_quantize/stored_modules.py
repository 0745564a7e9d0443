"""A safetensors checkpoint as modules: the tensors that together make one weight, read on demand.

A quantized linear layer is stored as several tensors (``q_proj.weight``, ``q_proj.weight_scale``,
``q_proj.input_scale``); everything before the last dot names the module they belong to.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from quantize.artifact.safetensors_header import read_checkpoint
from quantize.artifact.stored_tensor import StoredTensor, WeightFileError
from quantize.formats.in_quantize.decode_formats import StoredModule


class StoredModules:
    """The modules of a checkpoint folder, in the order of their names.

    ``read_bytes`` and ``read_kinds`` count what has been read so far, as it is stored.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Read the headers of all weight files; tensors are read onto ``device``.

        Raises:
            WeightFileError: a file is missing, truncated or damaged.
        """
        self._places: dict[str, dict[str, tuple[Path, StoredTensor]]] = {}
        for path, tensors in read_checkpoint(folder).items():
            for tensor in tensors:
                module, _, part = tensor.name.rpartition(".")
                self._places.setdefault(module, {})[part] = (path, tensor)
        self._device = device
        self.read_bytes = 0
        self.read_kinds: Counter[str] = Counter()

    def __iter__(self) -> Iterator[StoredModule]:
        """Every module with its tensors, read now; one module is in memory at a time."""
        for name in sorted(self._places):
            yield self.read(name)

    def kinds(self, name: str) -> Mapping[str, str]:
        """The storage types of a module's tensors, without reading them."""
        return {part: tensor.kind for part, (_, tensor) in self._places[name].items()}

    def read(self, name: str) -> StoredModule:
        """One module's tensors.

        Raises:
            WeightFileError: the file cannot be read.
        """
        parts: dict[str, Tensor] = {}
        for part, (path, tensor) in self._places[name].items():
            try:
                with safe_open(path, "pt", device=self._device) as stream:
                    parts[part] = stream.get_tensor(tensor.name)
            except (OSError, RuntimeError, ValueError) as error:
                raise WeightFileError(f"{path}: {tensor.name} cannot be read ({error})") from None
            self.read_bytes += tensor.size_bytes
            self.read_kinds[tensor.kind] += 1
        return StoredModule(name=name, parts=parts, kinds=self.kinds(name))
