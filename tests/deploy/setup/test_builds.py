"""Which builds a machine gets, and what is said of it."""

from dataclasses import replace

import pytest

from deploy.setup.builds import Build, BuildError, choose_build
from deploy.setup.findings import Findings, cuda_of_driver
from deploy.setup.system_torch import SystemPython, parse_packages
from quantize.machine import parse_gpus
from tests.deploy.setup.machines import NGC_PACKAGES, PACKAGES, QUERIES


def machine(name: str, processor: str = "x86_64") -> Findings:
    gpus = tuple(parse_gpus(QUERIES[name]))
    driver = gpus[0].driver if gpus else None
    return Findings(
        processor=processor, gpus=gpus, driver=driver, cuda_major=cuda_of_driver(driver)
    )


def with_torch(found: Findings, listing: str) -> Findings:
    packages = parse_packages(listing)
    return replace(
        found, system=SystemPython(executable="/opt/python", folders=("/s",), packages=packages)
    )


@pytest.mark.parametrize(
    ("name", "processor", "build"),
    [
        ("h100", "x86_64", "cuda13"),
        ("h200-x2", "x86_64", "cuda13"),
        ("h200-mig", "x86_64", "cuda13"),
        ("b200", "x86_64", "cuda13"),
        ("rtx-5090", "x86_64", "cuda13"),
        ("dgx-spark", "aarch64", "cuda13"),
        ("l40s-cuda-12", "x86_64", "cuda12"),
        ("l40s-cuda-12", "aarch64", "cpu"),
        ("a100-cuda-11", "x86_64", "cpu"),
        ("h100", "ppc64le", "cpu"),
        ("t4", "x86_64", "cpu"),
        ("none", "x86_64", "cpu"),
    ],
)
def test_a_machine_gets_the_build_that_its_driver_runs(
    name: str, processor: str, build: str
) -> None:
    assert choose_build(machine(name, processor)).build.name == build


def test_why_a_gpu_is_not_used_is_said_with_the_remedy() -> None:
    old = choose_build(machine("a100-cuda-11")).reasons
    assert old[0] == (
        "engines: CPU builds (the driver runs CUDA 11 at most; driver 525 or newer lets the "
        "engines use the GPU)"
    )
    silent = replace(machine("h100"), cuda_major=None)
    assert "does not answer" in choose_build(silent).reasons[0]
    assert "driver 580" in choose_build(machine("l40s-cuda-12", "aarch64")).reasons[0]
    assert choose_build(machine("none")).reasons == ("engines: CPU builds", "llama.cpp: CPU build")


def test_a_torch_that_is_there_is_kept_with_the_vllm_that_fits_it() -> None:
    choice = choose_build(with_torch(machine("h200-x2"), PACKAGES))
    assert choice.build.name == "system-torch"
    assert choice.reasons[0] == "engines: vLLM 0.26.0 on the torch 2.11.0 of /opt/python"
    ngc = choose_build(with_torch(machine("b200"), NGC_PACKAGES))
    assert "vLLM 0.32.0 on the torch 2.13.0a0+145a3a7bda.nv26.09" in ngc.reasons[0]


def test_a_torch_that_no_vllm_fits_is_refused_with_the_table() -> None:
    found = with_torch(machine("h100"), "torch==2.12.1\n")
    with pytest.raises(BuildError, match=r"torch 2\.12\.1.*2\.11 \(vLLM 0\.26\.0\).*cuda13"):
        choose_build(found)
    assert choose_build(found, "cuda13").build == Build(name="cuda13", asked=True, gpus=("90",))


def test_what_the_user_asks_for_is_taken_and_remembered_as_asked() -> None:
    assert choose_build(machine("h100"), "cpu").build == Build(asked=True, gpus=("90",))
    with pytest.raises(BuildError, match="no torch"):
        choose_build(machine("h100"), "system-torch")
    with pytest.raises(BuildError, match="cuda13, system-torch"):
        choose_build(machine("h100"), "cuda14")
    with pytest.raises(BuildError, match="no such build on aarch64: cpu, cuda13, system-torch"):
        choose_build(machine("dgx-spark", "aarch64"), "cuda12")


@pytest.mark.parametrize(
    ("name", "nvcc", "compiled", "said"),
    [
        ("h100", (13, 0), "90", "compiled with nvcc 13.0 for architecture 90"),
        ("dgx-spark", (13, 0), "121", "architecture 121"),
        ("dgx-spark", (12, 8), "", "does not know architecture 121"),
        ("b200", (12, 6), "", "does not know architecture 100"),
        ("l40s-cuda-12", (13, 0), "", "newer than the driver's CUDA 12"),
        ("l40s-cuda-12", (12, 4), "89", "architecture 89"),
        ("h100", None, "", "nvcc is not on the PATH"),
    ],
)
def test_llama_cpp_is_compiled_for_the_card_where_a_compiler_can(
    name: str, nvcc: tuple[int, int] | None, compiled: str, said: str
) -> None:
    choice = choose_build(replace(machine(name), nvcc=nvcc))
    assert choice.build.llama_cuda == compiled
    assert said in choice.reasons[1]


def test_an_image_names_the_architectures_that_it_is_built_for() -> None:
    builder = replace(machine("none"), nvcc=(13, 0))
    assert choose_build(builder, "cuda13", "90;120").build.llama_cuda == "90;120"
    assert "--architectures" in choose_build(builder, "cuda13").reasons[1]
    assert choose_build(builder, "cpu", "90").build.llama_cuda == ""
    with pytest.raises(BuildError, match="--architectures 'sm_90'"):
        choose_build(builder, "cuda13", "sm_90")
