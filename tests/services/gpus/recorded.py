"""NVIDIA's binding as a test sees it: its functions and error, with the answers of some cards."""

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As the binding's own."""


NOT_SUPPORTED = NVMLError("Not Supported")
# An H200 under load (vLLM, BF16, 64 streams), an idle one, and a DGX Spark, whose memory is the
# machine's own.
H200: dict[str, Any] = {
    "nvmlDeviceGetUUID": "GPU-aaaa-1",
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97, memory=71),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=120 << 30, total=140 << 30),
    "nvmlDeviceGetPowerUsage": 665_000,
    "nvmlDeviceGetTotalEnergyConsumption": 5_000_250,
    "nvmlDeviceGetClockInfo": 1905,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x04 | 0x20,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4242, usedGpuMemory=118 << 30)],
}
IDLE: dict[str, Any] = H200 | {
    "nvmlDeviceGetUUID": "GPU-bbbb-2",
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=0),
    "nvmlDeviceGetPowerUsage": 136_000,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x01,
    "nvmlDeviceGetComputeRunningProcesses": [],
}
SPARK: dict[str, Any] = H200 | {
    "nvmlDeviceGetUUID": b"GPU-cccc-3",
    "nvmlDeviceGetName": b"NVIDIA GB10",
    "nvmlDeviceGetMemoryInfo": NOT_SUPPORTED,
    "nvmlDeviceGetTotalEnergyConsumption": NOT_SUPPORTED,
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4242, usedGpuMemory=None)],
}


class Nvml:
    """Answers for some cards; an answer that is an error is raised."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    def __init__(self, *cards: dict[str, Any]) -> None:
        self.cards = cards

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self.cards[index]

    def __getattr__(self, name: str) -> Any:
        if not any(name in card for card in self.cards):
            raise AttributeError(name)

        def ask(card: dict[str, Any], *_words: Any) -> Any:
            answer = card[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask
