"""Run in the ``quantize`` environment on a JSON object of artifacts and their proofs.

Prints, by artifact, the root mean square of the differences between the decoded artifact's logits
and the proof's, as a share of the logits' standard deviation.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from quantize.emulation.in_quantize.emulation import load_emulated


def difference(artifact: str, proof: str) -> float:
    """The difference of one artifact."""
    told = load_file(proof)
    with torch.no_grad():
        logits = load_emulated(Path(artifact)).model(input_ids=told["ids"], use_cache=False).logits
    return float((logits - told["logits"]).square().mean().sqrt() / told["logits"].std())


if __name__ == "__main__":
    pairs = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps({artifact: difference(artifact, proof) for artifact, proof in pairs.items()}))
