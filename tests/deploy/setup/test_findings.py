"""What set-up reads off a machine, from the answers of its tools."""

import platform
from pathlib import Path

import pytest

from deploy.setup.findings import Findings, cuda_of_driver, look, parse_driver, parse_nvcc
from quantize.machine import parse_gpus
from tests.deploy.setup.machines import NVCC, QUERIES, TABLES


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("580", ("580.159.04", 13)),
        ("550", ("550.163.01", 12)),
        ("550-compat", ("550.163.01", 13)),
        ("470", ("470.256.02", 11)),
        ("595", ("595.20", 13)),
        ("without-cuda", ("580.95.05", 13)),
    ],
)
def test_driver_and_cuda_are_read_off_the_table(table: str, found: tuple[str, int]) -> None:
    assert parse_driver(TABLES[table]) == found


def test_no_driver_is_no_cuda() -> None:
    assert parse_driver("command not found") == (None, None)
    assert cuda_of_driver("390.157") is None


def test_the_compilers_version_is_read() -> None:
    assert parse_nvcc(NVCC) == (13, 0)
    assert parse_nvcc("") is None


def gpus(name: str, **more: object) -> Findings:
    return Findings(processor="x86_64", gpus=tuple(parse_gpus(QUERIES[name])), **more)  # type: ignore[arg-type]


def test_what_was_found_is_one_line() -> None:
    assert gpus("h200-x2", driver="580.159.04", cuda_major=13).phrase == (
        "2 x NVIDIA H200 (compute capability 9.0, 140 GiB), driver 580.159.04, CUDA 13, x86_64"
    )
    assert "memory shared with the system" in gpus("dgx-spark").phrase
    assert Findings(processor="x86_64").phrase == "no NVIDIA GPU that the engines know, x86_64"
    assert Findings(processor="x86_64", driver="470.1").phrase.endswith("(driver 470.1)")


def tool(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_machine_is_asked_through_its_own_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = f"case $1 in --query*) echo '{QUERIES['b200'].strip()}';; *) echo '{TABLES['580']}'"
    tool(tmp_path, "nvidia-smi", f"{answer};; esac")
    tool(tmp_path, "nvcc", f"echo '{NVCC}'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = look()
    assert found.gpus[0].name == "NVIDIA B200"
    assert (found.driver, found.cuda_major, found.nvcc) == ("580.159.04", 13, (13, 0))
    assert found.system is None


def test_a_machine_without_a_gpu_is_not_asked_for_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look() == Findings(processor=platform.machine())
