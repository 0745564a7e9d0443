"""The weights that GPTQModel rounded, caught in memory before it packs them.

A model of these weights is what the packed checkpoint must decode to.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from gptqmodel.looper.awq_processor import AWQProcessor
from gptqmodel.looper.gptq_processor import GPTQProcessor
from gptqmodel.looper.weight_only_processor import WeightOnlyProcessor
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from quantize.artifact.in_quantize.proof_logits import write_proof
from quantize.by_gptqmodel.gptqmodel_job import GptqModelRequest

_PROCESSORS = (AWQProcessor, GPTQProcessor, WeightOnlyProcessor)


class RoundedWeights:
    """Collects every layer's rounded weight while it is entered, where ``keep`` says so.

    Holds (outputs, inputs) tensors by layer name: as much memory as the model itself has.
    """

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.weights: dict[str, torch.Tensor] = {}
        self._replaced: list[tuple[Any, Callable[..., Any]]] = []

    def __enter__(self) -> "RoundedWeights":
        for processor in _PROCESSORS if self.keep else ():
            original = processor.submodule_finalize
            self._replaced.append((processor, original))
            processor.submodule_finalize = self._catching(original)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the tool its own methods back."""
        for processor, original in self._replaced:
            processor.submodule_finalize = original

    def _catching(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def finalize(processor: Any, module: Any, *others: Any, **named: Any) -> Any:
            self.weights[module.full_name] = module.weight.detach().cpu().clone()
            return original(processor, module, *others, **named)

        return finalize

    def write_proof(
        self, request: GptqModelRequest, proof: Path, sequences: Sequence[Sequence[int]]
    ) -> None:
        """Write the logits of the source model with these weights (see proof_logits.py).

        What is not packed (norms, which AWQ scales) comes from the saved checkpoint.
        """
        model = AutoModelForCausalLM.from_pretrained(request.model, dtype=torch.bfloat16)
        held = dict(model.named_parameters())
        with torch.no_grad():
            for path in sorted(request.saved.glob("*.safetensors")):
                with safe_open(path, "pt") as stored:
                    for name in held.keys() & set(stored.keys()):
                        held[name].copy_(stored.get_tensor(name))
            for layer, weight in self.weights.items():
                held[f"{layer}.weight"].copy_(weight)
        write_proof(proof, model, sequences)
