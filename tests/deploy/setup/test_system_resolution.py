"""Versions beside a Python with its own torch: what uv is told, and what is left to install."""

from deploy.setup.system_resolution import (
    hidden,
    lacking,
    preferences,
    relied_on,
    requirements_of,
)
from deploy.setup.system_torch import SystemPython, parse_packages
from tests.deploy.setup.machines import NGC_PACKAGES, PACKAGES

SYSTEM = parse_packages(PACKAGES)


def test_torch_and_what_belongs_to_it_are_out_of_the_resolution() -> None:
    lines = hidden(SYSTEM).splitlines()
    assert "torch; sys_platform == 'never'" in lines
    assert "nvidia-cudnn-cu13; sys_platform == 'never'" in lines
    assert not any(line.startswith("numpy") for line in lines)


def test_the_versions_that_are_there_are_preferred_where_an_index_has_them() -> None:
    assert "numpy==2.5.2\n" in preferences(SYSTEM)
    assert "torch" not in preferences(SYSTEM)
    assert preferences(parse_packages(NGC_PACKAGES)) == "numpy==2.1.0\n"


def test_only_what_the_python_lacks_is_installed() -> None:
    resolved = (
        "huggingface-hub==1.33.0\n"
        "numpy==2.3.5 ; python_full_version < '3.13'\n"
        "torch==2.11.0 ; sys_platform == 'never'\n"
        "vllm==0.26.0\n"
    )
    left = "numpy==2.3.5 ; python_full_version < '3.13'\nvllm==0.26.0\n"
    assert lacking(resolved, SYSTEM) == left


def test_what_is_relied_on_is_the_torch_and_what_agrees() -> None:
    resolved = (
        "huggingface-hub==1.33.0\nnumpy==2.3.5 ; python_full_version < '3.13'\nvllm==0.26.0\n"
    )
    assert relied_on(resolved, SYSTEM) == {"huggingface-hub": "1.33.0", "torch": "2.11.0"}


def test_vllm_is_asked_for_in_the_release_that_fits_and_all_else_by_its_file() -> None:
    system = SystemPython(executable="/p", folders=(), packages=SYSTEM)
    assert requirements_of("vllm", system) == "vllm==0.26.0\n"
    assert "gptqmodel==" in requirements_of("quantize", system)
