"""Run in the ``quantize`` environment: prints how often our clip search agrees with the tool's."""

from types import SimpleNamespace

import torch
from gptqmodel.looper.awq_processor import AWQProcessor

from quantize.by_gptqmodel.in_quantize.awq_clip import best_clip


def main() -> None:
    """Print the share of equal bounds over random layers with outliers, in single precision."""
    torch.manual_seed(0)
    processor = AWQProcessor.__new__(AWQProcessor)
    processor.qcfg = SimpleNamespace(group_size=128, sym=False, bits=4)
    weight = torch.randn(320, 256) * (1 + 8 * (torch.rand(320, 256) > 0.99))
    inputs = torch.randn(2, 1100, 256)
    theirs = AWQProcessor._compute_best_clip(processor, weight, inputs)
    ours = best_clip(processor, weight, inputs)
    assert ours.shape == theirs.shape == (320, 2, 1)
    print(float(torch.isclose(ours, theirs).float().mean()))


if __name__ == "__main__":
    main()
