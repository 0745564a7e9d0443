"""The weight report counts what a layer holds, wherever vLLM's kernels keep it.

covers: services/engines/in_vllm/vllm_extension.py
"""

from types import SimpleNamespace
from typing import Any

from services.engines.in_vllm.vllm_extension import WeightReport


class Linear:
    """A layer as vLLM leaves it after loading."""

    def __init__(self, sizes: list[int], **fields: Any) -> None:
        self.tensors = [SimpleNamespace(nbytes=size) for size in sizes]
        self.__dict__.update(fields)

    def parameters(self, recurse: bool) -> list[Any]:
        assert not recurse
        return self.tensors


def report(*modules: Linear) -> dict[str, Any]:
    worker = WeightReport()
    model = SimpleNamespace(modules=lambda: list(modules), named_modules=list)
    worker.model_runner = SimpleNamespace(model=model)
    return worker.assay_weights()


class Int8Method:
    """Stands for the method of a quantized layer."""


def test_parameters_are_counted_and_tied_ones_once() -> None:
    embedding = Linear([80])
    head = Linear([])
    head.tensors = embedding.tensors
    assert report(embedding, head, Linear([16, 4]))["weight_bytes"] == 100


def test_an_emptied_sixteen_bit_weight_is_counted_by_its_shape() -> None:
    dtype = SimpleNamespace(itemsize=2)
    layer = Linear(
        [0], output_size_per_partition=6, input_size_per_partition=10, params_dtype=dtype
    )
    assert report(layer)["weight_bytes"] == 120


def test_an_emptied_weight_is_counted_beside_the_bias_that_stayed() -> None:
    shape = {"output_size_per_partition": 6, "input_size_per_partition": 10}
    dtype = SimpleNamespace(itemsize=2)
    layer = Linear([0, 12], weight=SimpleNamespace(nbytes=0), params_dtype=dtype, **shape)
    assert report(layer)["weight_bytes"] == 120 + 12


def test_an_integer_weight_that_the_kernel_took_is_counted_beside_its_scales() -> None:
    handler = SimpleNamespace(n=6, k=10)
    layer = Linear(
        [24],
        weight=None,
        quant_method=Int8Method(),
        scheme=SimpleNamespace(kernel=SimpleNamespace(dnnl_handler=handler)),
    )
    found = report(layer)
    assert found["weight_bytes"] == 60 + 24
    assert found["kinds"] == {"Int8Method/SimpleNamespace": 1}


def test_a_weight_that_is_still_there_is_not_counted_twice() -> None:
    handler = SimpleNamespace(n=6, k=10)
    kernel = SimpleNamespace(dnnl_handler=handler)
    layer = Linear([60, 24], weight=object(), scheme=SimpleNamespace(kernel=kernel))
    assert report(layer)["weight_bytes"] == 84
