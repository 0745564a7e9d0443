"""Holds the streamed sums against a plain forward of the whole model and a loop over tokens.

covers: quantize/by_llamacpp/in_quantize/streamed_decoder.py
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from quantize.by_llamacpp.in_quantize.input_squares import collect
from quantize.by_llamacpp.in_quantize.streamed_decoder import streamed_decoder
from tests.quantize.tiny_model import Family, make_tiny_model

TOKENS = torch.randint(3, 500, (5, 24), generator=torch.Generator().manual_seed(1)).tolist()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        family: make_tiny_model(tmp_path_factory.mktemp("models") / family, family=family)
        for family in ("llama", "qwen3", "mixtral", "qwen3-moe")
    }


def whole_forward(folder: Path) -> dict[str, list[Tensor]]:
    """Every module's inputs in one forward of the model as transformers loads it."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    seen: dict[str, list[Tensor]] = {}

    def note(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen[name] = [item.detach() for item in inputs]

        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) or name.endswith(".experts"):
            module.register_forward_pre_hook(note(name))
    with torch.inference_mode():
        model(torch.tensor(TOKENS))
    return seen | {f"{name}!": [value] for name, value in model.state_dict().items()}


@pytest.mark.parametrize("family", ["llama", "qwen3", "mixtral", "qwen3-moe"])
def test_sums_equal_those_of_a_whole_forward(folders: dict[str, Path], family: Family) -> None:
    squares = collect(folders[family], TOKENS, lambda _: None)
    seen = whole_forward(folders[family])
    dense = [name for name in squares.sums if ".experts." not in name]
    assert len(dense) == 2 * (4 if family in ("mixtral", "qwen3-moe") else 7)
    for name in dense:
        expected = seen[name][0].double().reshape(-1, squares.sums[name].shape[1]).pow(2).sum(0)
        torch.testing.assert_close(squares.sums[name][0], expected, rtol=1e-4, atol=1e-6)
        assert squares.counts[name].tolist() == [5 * 24]


@pytest.mark.parametrize("family", ["mixtral", "qwen3-moe"])
def test_an_expert_counts_only_the_tokens_sent_to_it(
    folders: dict[str, Path], family: Family
) -> None:
    squares = collect(folders[family], TOKENS, lambda _: None)
    seen = whole_forward(folders[family])
    name = "model.layers.1.mlp.experts"
    hidden, chosen = seen[name][0], seen[name][1]
    gate_up, experts = seen[f"{name}.gate_up_proj!"][0], len(squares.counts[f"{name}.up_proj"])
    outer = torch.zeros(experts, hidden.shape[1], dtype=torch.float64)
    inner = torch.zeros(experts, gate_up.shape[1] // 2, dtype=torch.float64)
    for token, experts_of_token in enumerate(chosen.tolist()):
        for expert in experts_of_token:
            outer[expert] += hidden[token].double() ** 2
            gate, up = (gate_up[expert] @ hidden[token]).chunk(2)
            inner[expert] += (nn.functional.silu(gate) * up).double() ** 2
    for layer, expected in (("gate_proj", outer), ("up_proj", outer), ("down_proj", inner)):
        found = squares.sums[f"{name}.{layer}"]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        assert int(squares.counts[f"{name}.{layer}"].sum()) == 2 * 5 * 24


def test_no_layer_keeps_its_weights(folders: dict[str, Path]) -> None:
    decoder: Any = streamed_decoder(folders["llama"], torch.device("cpu"))
    with torch.inference_mode():
        decoder(input_ids=torch.tensor(TOKENS), use_cache=False)
    assert all(weight.is_meta for weight in decoder.layers.parameters())
