"""The GPUs that an engine computes on, as its health tells of them."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from services.gpus.gpu_use import GpuUse, used_by


class EngineGpu(BaseModel):
    """One GPU of an engine. ``memory_bytes`` is what its processes hold there (None: not told).

    ``unified``: that memory is the machine's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    uuid: str
    name: str
    memory_bytes: int | None = None
    unified: bool = False


def engine_gpus(
    gpus: Sequence[GpuUse], pids: Collection[int], variables: Mapping[str, str]
) -> list[EngineGpu]:
    """Those on which an engine's processes compute, with what they hold of each."""
    return [
        EngineGpu(uuid=gpu.uuid, name=gpu.name, memory_bytes=gpu.held_by(pids), unified=gpu.unified)
        for gpu in used_by(gpus, pids, variables)
    ]
