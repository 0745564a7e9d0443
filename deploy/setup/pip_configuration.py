"""Make uv install from where this machine's pip already installs from.

uv does not read pip's configuration. A machine that points pip at mirrors, at local wheels or at
its own certificates would otherwise need everything said twice. Standard library only.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from quantize.processors import usable_cpus

# pip's own variable.
NO_INDEX = "PIP_NO_INDEX"
CPU_TORCH_PATTERN = "torch-2.13.0+cpu-*.whl"


def parse_pip_config(listing: str) -> dict[str, str]:
    """Read ``pip config list`` output (``scope.key='value'``); environment settings win."""
    settings: dict[str, str] = {}
    from_environment: dict[str, str] = {}
    for line in listing.splitlines():
        name, separator, value = line.partition("=")
        scope, _, key = name.strip().rpartition(".")
        if not separator or scope not in {"global", "install", "download", ":env:"}:
            continue
        target = from_environment if scope == ":env:" else settings
        target[key] = str(ast.literal_eval(value))
    return settings | from_environment


def uv_settings(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """uv's variables that say what ``pip``'s settings say; what the user set for uv wins.

    With extra indexes uv must weigh all of them together, as pip does (``unsafe-best-match``).
    """
    said: dict[str, str] = {}
    if "index-url" in pip:
        said["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "extra-index-url" in pip:
        said["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
        said["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if "find-links" in pip:
        said["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if "cert" in pip:
        said["SSL_CERT_FILE"] = pip["cert"]
    if "trusted-host" in pip:
        said["UV_INSECURE_HOST"] = " ".join(pip["trusted-host"].split())
    return {key: value for key, value in said.items() if key not in environment}


def read_pip_settings() -> dict[str, str]:
    """This machine's pip settings; empty where there is no pip."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return parse_pip_config(listing.stdout) if listing.returncode == 0 else {}


def installer_environment(wheelhouse: Path | None) -> dict[str, str]:
    """The whole environment for uv: this process's, pip's settings, and the wheelhouse if any."""
    environment = {
        # A compiler for every CPU of the host would take more memory than the quota's share.
        "CMAKE_BUILD_PARALLEL_LEVEL": str(usable_cpus()),
        **os.environ,
        **uv_settings(read_pip_settings(), os.environ),
    }
    if wheelhouse is not None:
        environment |= {"UV_FIND_LINKS": str(wheelhouse), "UV_OFFLINE": "1"}
        for key in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL"):
            environment.pop(key, None)
        environment |= {NO_INDEX: "1", "PIP_FIND_LINKS": str(wheelhouse)}
    return environment


def torch_backend(environment: Mapping[str, str]) -> list[str]:
    """The uv option that picks PyTorch's CPU builds, unless a local one is already at hand."""
    at_hand = any(map(_has_cpu_torch, _find_links(environment)))
    return [] if at_hand or NO_INDEX in environment else ["--torch-backend", "cpu"]


def without_cpu_torch(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a CUDA build: a CPU torch of the same version would be preferred."""
    kept = [folder for folder in _find_links(environment) if not _has_cpu_torch(folder)]
    return {**environment, "UV_FIND_LINKS": ",".join(kept)}


def _has_cpu_torch(link: str) -> bool:
    folder = Path(link.removeprefix("file://"))
    return folder.is_dir() and any(folder.glob(CPU_TORCH_PATTERN))


def _find_links(environment: Mapping[str, str]) -> list[str]:
    return environment.get("UV_FIND_LINKS", "").replace(",", " ").split()
