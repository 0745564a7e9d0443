"""What GPTQModel's process is asked and answers; known on both sides of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantize.calibration.calibration_set import Calibrated, CalibrationPlan
from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class GptqModelRequest:
    """Quantize ``model`` by a recipe's method and parameters into the folder ``saved``.

    ``offload`` is where layers are put aside, ``scratch`` where anything temporary goes; ``proof``
    is a file for the rounded model's logits, where they are asked for.
    """

    model: Path
    calibration: CalibrationPlan
    method: str
    parameters: Mapping[str, Any]
    threads: int
    scratch: Path
    offload: Path
    saved: Path
    proof: Path | None


GPTQMODEL = JobModule(
    module="quantize.by_gptqmodel.in_quantize.gptqmodel_ptq",
    environment="quantize",
    request=GptqModelRequest,
    tells=(Progress,),
    reply=Calibrated,
)
