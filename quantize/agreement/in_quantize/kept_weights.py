"""Whether an artifact's weights are the source's: what is left of them after the best scales."""

from collections.abc import Mapping

from torch import Tensor

from quantize.agreement.probe import ArtifactToProbe, KeptWeight
from quantize.artifact.gguf_header import GGUF_NAME

# Each round fits columns, then rows; smoothing moves the scales of both between layers.
_ROUNDS = 2
_TINY = 1e-12
# GPTQ, which moves weights furthest, leaves 0.14 of a Gaussian matrix unexplained at 4 bits, 0.31
# at 3 and 0.69 at 2 (rounding 0.12, 0.26, 0.62); of weights that have nothing to do with the
# source's, more than 0.98 are.
_MOST_OF_BITS = ((8, 0.1), (4, 0.5), (3, 0.6), (0, 0.92))
# Tables that stay in 16 bits beside quantized layers are only rounded to bfloat16.
_MOST_UNQUANTIZED = 0.01
_TABLES = ("model.embed_tokens.weight", "lm_head.weight")


def farthest_weight(
    item: ArtifactToProbe, weights: Mapping[str, Tensor], source: Mapping[str, Tensor]
) -> KeptWeight | None:
    """The matrix that is farthest beyond what its format explains; None where none has a source.

    ``weights`` are those of the item's model, decoded. Norms and biases are left out: smoothing
    changes them as it likes.
    """
    found = [
        KeptWeight(
            name=name,
            residual=residual(values.float(), source[name].float()),
            limit=_limit(item, name),
        )
        for name, values in weights.items()
        if values.dim() == 2 and name in source
    ]
    return max(found, key=lambda weight: weight.residual / weight.limit, default=None)


def residual(weight: Tensor, source: Tensor) -> float:
    """The part of ``weight`` (norms) that no scaling of rows and columns of ``source`` explains."""
    fitted = source
    for _ in range(_ROUNDS):
        fitted = fitted * _scales(weight, fitted, dim=0)
        fitted = fitted * _scales(weight, fitted, dim=1)
    return float((weight - fitted).norm() / weight.norm().clamp(min=_TINY))


def _scales(weight: Tensor, fitted: Tensor, dim: int) -> Tensor:
    """The least-squares factor of every column (``dim`` 0) or row (1)."""
    above = (weight * fitted).sum(dim, keepdim=True)
    below = (fitted * fitted).sum(dim, keepdim=True)
    return above / below.clamp(min=_TINY)


def _limit(item: ArtifactToProbe, name: str) -> float:
    quantizes_tables = (item.artifact / GGUF_NAME).is_file()
    if name in _TABLES and not (quantizes_tables or item.trained):
        return _MOST_UNQUANTIZED
    return next(most for bits, most in _MOST_OF_BITS if item.bits >= bits)
