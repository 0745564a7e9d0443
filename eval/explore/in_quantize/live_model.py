"""The model in memory: its layers' inputs, and its loss from any block onwards.

A block's inputs are kept from one plain pass. Whatever changes only block b then costs the blocks
from b on, which halves the time of quantizing one layer after the other.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from eval.explore.in_quantize.sampled_layers import block_of

_KEPT_ROWS = 256


class LiveModel:
    """A causal language model with the usual parts: ``model.layers``, ``model.norm``, ``lm_head``.

    ``tokens``: (sequences, length) ids that the losses are about. Float32 throughout, so that no
    rounding but the one under study is in the figures.
    """

    def __init__(self, folder: Path, tokens: torch.Tensor, device: str) -> None:
        self.device = torch.device(device)
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, attn_implementation="sdpa"
        )
        self.model.eval().requires_grad_(False).to(self.device)
        self.tokens = tokens.to(self.device)
        self.blocks: Sequence[torch.nn.Module] = self.model.model.layers
        self._starts: list[tuple[torch.Tensor, dict[str, Any]]] = []
        self.log_probs = self._first_pass()

    def matrices(self) -> dict[tuple[int, str], list[torch.nn.Parameter]]:
        """The weights of every (block, kind of layer); experts of a block stand together."""
        found: dict[tuple[int, str], list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            block = block_of(name)
            if block is not None and parameter.ndim >= 2:
                kind = name.removesuffix(".weight").rpartition(".")[2]
                found.setdefault((block, kind), []).append(parameter)
        return found

    def linears(self, block: int, kind: str) -> list[torch.nn.Linear]:
        """The linear modules of that kind in a block."""
        return [
            module
            for name, module in self.blocks[block].named_modules()
            if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] == kind
        ]

    def inputs(self, tokens: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """What goes into each linear layer, by its name: up to 256 rows (n, in), float32."""
        kept: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(_module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
                rows = given[0].reshape(-1, given[0].shape[-1])
                step = max(1, len(rows) // _KEPT_ROWS)
                kept[name] = rows[::step][:_KEPT_ROWS].float().cpu().clone()

            return hook

        hooks = [
            module.register_forward_pre_hook(keep(name))
            for name, module in self.model.named_modules()
            if isinstance(module, torch.nn.Linear) and block_of(f"{name}.weight") is not None
        ]
        try:
            with torch.inference_mode():
                self.model(tokens.to(self.device), use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return kept

    def _first_pass(self) -> torch.Tensor:
        """Run once without changes, and keep what every block was given."""

        def keep(_module: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            named = dict(named)
            hidden = given[0] if given else named.pop("hidden_states")
            self._starts.append((hidden, named))

        hooks = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in self.blocks]
        try:
            with torch.inference_mode():
                logits = self.model(self.tokens, use_cache=False).logits
                return logits[:, :-1].float().log_softmax(-1)
        finally:
            for hook in hooks:
                hook.remove()

    def from_block(self, block: int) -> torch.Tensor:
        """Log-probabilities (sequences, length - 1, vocabulary), run again from that block on."""
        with torch.inference_mode():
            hidden = self._starts[block][0]
            for index in range(block, len(self.blocks)):
                made = self.blocks[index](hidden, **self._starts[index][1])
                hidden = made[0] if isinstance(made, tuple) else made
            logits = self.model.lm_head(self.model.model.norm(hidden))
            return logits[:, :-1].float().log_softmax(-1)

    def losses(self, log_probs: torch.Tensor) -> torch.Tensor:
        """Nats per predicted token, (sequences * (length - 1),)."""
        wanted = self.tokens[:, 1:].unsqueeze(-1)
        return -log_probs.gather(-1, wanted).flatten().double()
