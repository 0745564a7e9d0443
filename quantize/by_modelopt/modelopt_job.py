"""What the Model Optimizer's process is asked and answers; known on both sides of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.calibration.calibration_set import CalibrationPlan
from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class CompressedForm:
    """What a checkpoint in compressed-tensors' ``format`` is to be rewritten to.

    ``layer`` is the layer's name in the table of formats, ``values`` the tensor that holds ``bits``
    of each value, ``group`` the inputs per scale (None: a scale per row).
    """

    format: str
    layer: str
    values: str
    bits: int
    group: int | None


@dataclass(frozen=True, kw_only=True)
class ModelOptRequest:
    """Quantize ``model`` by a recipe's parameters and export it to the folder ``saved``.

    ``reference`` says that it is the reference model, of whose kind of text there is more;
    ``compressed`` is the form that the tool does not write itself, where the format has that;
    ``proof`` is a file for the quantized model's logits, where they are asked for.
    """

    model: Path
    reference: bool
    calibration: CalibrationPlan
    compressed: CompressedForm | None
    parameters: Mapping[str, Any]
    threads: int
    saved: Path
    proof: Path | None


@dataclass(frozen=True, kw_only=True)
class ModelOptReply:
    """The hash of the calibration tokens, and what ``config.json`` shall announce."""

    calibration_sha256: str
    described: Mapping[str, Any]


MODELOPT = JobModule(
    module="quantize.by_modelopt.in_quantize.modelopt_ptq",
    environment="quantize",
    request=ModelOptRequest,
    tells=(Progress,),
    reply=ModelOptReply,
)
