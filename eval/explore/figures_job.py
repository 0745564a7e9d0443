"""What the measuring of the explorer's figures is asked; known on both sides of its process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.explore.explorer_figures import Figures
from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class FiguresRequest:
    """The model's folder and name, the text and what to call it, and what decides the figures."""

    model: Path
    name: str
    made_from: Mapping[str, str]
    calibration: Path
    calibration_name: str
    threads: int


FIGURES = JobModule(
    module="eval.explore.in_quantize.explorer_measurement",
    environment="quantize",
    request=FiguresRequest,
    tells=(Progress,),
    reply=Figures,
)
