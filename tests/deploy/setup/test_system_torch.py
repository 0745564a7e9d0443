"""A Python that holds a CUDA torch: what it has, and what stands or falls with that torch."""

import sys
from pathlib import Path

import pytest

from deploy.setup.system_torch import (
    VLLM_OF_TORCH,
    SystemPython,
    packages_to_hide,
    parse_packages,
    read_system_python,
)
from tests.deploy.setup.machines import NGC_PACKAGES, PACKAGES


def test_a_list_of_packages_is_read_by_normalized_name() -> None:
    assert parse_packages(PACKAGES)["huggingface-hub"] == "1.33.0"
    assert parse_packages(NGC_PACKAGES) == {
        "flash-attn": "2.7.4.post1+25.12",
        "numpy": "2.1.0",
        "torch": "2.13.0a0+145a3a7bda.nv26.09",
        "torchvision": "0.28.0a0+nv26.09",
        "pytorch-triton": "3.7.0+git",
    }


def test_what_belongs_to_torch_is_never_installed_beside_it() -> None:
    assert packages_to_hide(parse_packages(PACKAGES)) == [
        "cuda-bindings",
        "nvidia-cublas",
        "nvidia-cudnn-cu13",
        "torch",
        "torchvision",
        "triton",
    ]
    assert "numpy" not in packages_to_hide(parse_packages(NGC_PACKAGES))


@pytest.mark.parametrize(
    ("torch", "vllm"), [("2.11.0+cu130", "0.26.0"), ("2.14.1", "0.33.0"), ("2.12.0", None)]
)
def test_the_vllm_is_the_one_built_for_that_torch(torch: str, vllm: str | None) -> None:
    found = SystemPython(executable="/p", folders=(), packages={"torch": torch})
    assert found.vllm == vllm
    assert vllm is None or vllm in VLLM_OF_TORCH.values()


def python(folder: Path, cuda: str) -> Path:
    """A stand-in that answers as a Python with a torch does; the look itself runs for real."""
    torch = folder / "site-packages" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text("raise ImportError('must not be loaded')\n")
    (torch / "version.py").write_text(f"cuda = {cuda}\n")
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\ncase "$2" in pip) echo torch==2.11.0;; '
        f'*) PYTHONPATH={torch.parent} exec {sys.executable} "$@";; esac\n'
    )
    path.chmod(0o755)
    return path


def test_a_torch_for_cuda_is_found_without_loading_it(tmp_path: Path) -> None:
    executable = python(tmp_path, "'13.0'")
    found = read_system_python(executable)
    assert found is not None
    assert (found.torch, found.vllm) == ("2.11.0", "0.26.0")
    assert str(tmp_path / "site-packages") in found.folders


def test_a_torch_for_the_cpu_and_a_python_without_one_are_none(tmp_path: Path) -> None:
    assert read_system_python(python(tmp_path, "None")) is None
    assert read_system_python(tmp_path / "no-python") is None
