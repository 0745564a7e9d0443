"""What runs inside vLLM's workers: a weight report.

Imported by vLLM in its environment (``--worker-extension-cls``), so it needs nothing but the
standard library, its own folder and what vLLM brings.
"""

from collections import Counter
from typing import Any

from services.engines.in_vllm.kernel_report import kernel_report


class WeightReport:
    """Mixed into vLLM's worker: tells what the loaded model really holds, and what computes it."""

    model_runner: Any

    def assay_weights(self) -> dict[str, Any]:
        """All weights in bytes, how many layers each weight method serves, and on which kernels.

        A CPU build repacks a weight into a kernel's own layout and empties the parameter (16-bit
        weights) or drops it (8-bit integers); such a layer is counted by its shape.
        """
        kinds: Counter[str] = Counter()
        total = 0
        seen: set[int] = set()
        for module in self.model_runner.model.modules():
            method = getattr(module, "quant_method", None)
            if method is not None:
                kernel = getattr(method, "kernel", None) or _scheme_kernel(module)
                name = type(method).__name__
                kinds[f"{name}/{type(kernel).__name__}" if kernel is not None else name] += 1
            held = list(module.parameters(recurse=False))
            # Tied embeddings are one tensor on two modules.
            new = [tensor for tensor in held if id(tensor) not in seen]
            seen.update(id(tensor) for tensor in held)
            size = sum(tensor.nbytes for tensor in new)
            # A bias stays where it was when the kernel took the weight.
            is_repacked = _is_emptied(module) or (not size and len(new) == len(held))
            total += size + (_repacked_bytes(module) if is_repacked else 0)
            total += _handed_over_bytes(module)
        return {"weight_bytes": total, "kinds": dict(kinds), "kernels": kernel_report(self)}


def _is_emptied(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return getattr(weight, "nbytes", None) == 0


def _repacked_bytes(module: Any) -> int:
    """Bytes of an unquantized linear layer whose weight a kernel took over."""
    rows = getattr(module, "output_size_per_partition", 0)
    columns = getattr(module, "input_size_per_partition", 0)
    dtype = getattr(module, "params_dtype", None)
    return rows * columns * dtype.itemsize if dtype is not None else 0


def _scheme_kernel(module: Any) -> Any:
    """The kernel of a compressed-tensors layer, which its scheme chose."""
    return getattr(getattr(module, "scheme", None), "kernel", None)


def _handed_over_bytes(module: Any) -> int:
    """Bytes of an 8-bit weight that oneDNN holds alone (``create_onednn_scaled_mm``)."""
    handler = getattr(_scheme_kernel(module), "dnnl_handler", None)
    if handler is None or getattr(module, "weight", None) is not None:
        return 0
    return int(handler.n * handler.k)
