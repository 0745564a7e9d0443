"""What is native, weight-only or missing on a machine, told per recipe and engine."""

import pytest

from deploy import machine_report
from deploy.machine_report import aligned, device_lines, engine_lines, recipe_table
from deploy.service import DeployError
from deploy.setup.findings import Findings
from quantize.machine import Device, Machine, parse_gpus
from quantize.recipes.catalogue import RECIPES
from services.engines.spec import EngineSpec
from tests.deploy.setup.machines import QUERIES


def cell(recipe: str, engine: str, device: Device) -> str:
    title, *rows = recipe_table({engine: device})
    assert title[0] == "recipe"
    assert len(rows) == len(RECIPES)
    (told,) = (row[1] for row in rows if row[0] == recipe)
    return told


@pytest.mark.parametrize(
    ("recipe", "engine", "device", "told"),
    [
        ("fp8", "vllm", "hopper", "native"),
        ("nvfp4", "vllm", "hopper", "weight-only"),
        ("nvfp4", "vllm", "blackwell", "native"),
        ("nvfp4", "vllm", "cpu", "-"),
        ("nvfp4", "transformers", "cpu", "emulated"),
        ("gguf-q4_k_m", "vllm", "hopper", "-"),
        ("gguf-q4_k_m", "llamacpp", "cpu", "native"),
    ],
)
def test_a_recipe_is_told_by_the_table_of_formats(
    recipe: str, engine: str, device: Device, told: str
) -> None:
    assert cell(recipe, engine, device) == told


def test_every_gpu_is_named_by_its_uuid() -> None:
    cut = device_lines(Findings(processor="x86_64", gpus=tuple(parse_gpus(QUERIES["h200-mig"]))))
    assert cut[1] == "  GPU 0 GPU-0a NVIDIA H200 (Hopper, 140 GiB, cut into MIG instances)"
    shared = parse_gpus(QUERIES["dgx-spark"])
    assert "shared memory" in device_lines(Findings(processor="aarch64", gpus=tuple(shared)))[1]


def test_engines_are_told_with_version_and_build(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(engine: EngineSpec) -> tuple[str, str]:
        if engine.name == "trtllm":
            raise DeployError("no")
        return engine.distributions[0], "1.2"

    monkeypatch.setattr(machine_report, "engine_version", version)
    monkeypatch.setattr(machine_report, "engine_device", lambda _engine, machine: machine.device)
    monkeypatch.setattr(machine_report, "read_marker", lambda _name: {"build": "cuda13"})
    lines, devices = engine_lines(Machine(device="hopper", name="NVIDIA H200"))
    assert "  vLLM: vllm 1.2, build cuda13, computes on hopper" in lines
    assert "  TensorRT-LLM: not installed" in lines
    assert "trtllm" not in devices
    assert devices["vllm"] == "hopper"


def test_columns_lie_below_each_other() -> None:
    assert aligned([("a", "bb", "c"), ("aaa", "b", "")]) == ["  a    bb  c", "  aaa  b"]
