"""An engine's health names its GPUs by UUID, with what its processes hold there."""

from services.gpus.engine_gpu import EngineGpu, engine_gpus
from services.gpus.nvml import read_gpus
from tests.services.gpus.recorded import H200, IDLE, SPARK, Nvml


def test_an_engine_is_on_the_card_that_its_processes_are_on() -> None:
    assert engine_gpus(read_gpus(Nvml(IDLE, H200)), {4242, 1}, {}) == [
        EngineGpu(uuid="GPU-aaaa-1", name="NVIDIA H200", memory_bytes=118 << 30)
    ]


def test_unified_memory_is_told_as_such() -> None:
    assert engine_gpus(read_gpus(Nvml(SPARK)), {4242}, {}) == [
        EngineGpu(uuid="GPU-cccc-3", name="NVIDIA GB10", unified=True)
    ]
