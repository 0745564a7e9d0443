"""A Python that already holds a CUDA torch (an NGC container's, say): what it has, what fits it.

Its torch is kept. The environments see its packages behind their own, and get only what it lacks:
``packages_to_hide`` is resolved as if it were not there, everything else is taken from it where
its version is one that the resolution may choose.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

# The vLLM release that is built for a torch release (its own ``torch==`` requirement).
VLLM_OF_TORCH: Mapping[str, str] = {"2.11": "0.26.0", "2.13": "0.32.0", "2.14": "0.33.0"}
# What stands or falls with torch: never installed beside it.
_TORCH_FAMILY = re.compile(
    r"torch|torchvision|torchaudio|torchcodec|triton|pytorch-triton.*|nvidia-.*-cu\d+|cuda-.*|"
    r"nvidia-(cublas|cuda-.*|cufft|cufile|curand|cusolver|cusparse|nvjitlink|nvtx)"
)
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)$")
_TIMEOUT_S = 120.0
# Reads torch's own record of its build without loading torch.
_LOOK = """
import importlib.util, json, pathlib, runpy, site, sys
spec = importlib.util.find_spec("torch")
made = runpy.run_path(str(pathlib.Path(spec.origin).with_name("version.py"))) if spec else {}
print(json.dumps({"cuda": made.get("cuda"), "folders": [
    path for path in dict.fromkeys([*site.getsitepackages(), *sys.path])
    if path.endswith(("site-packages", "dist-packages"))]}))
"""


@dataclass(frozen=True, kw_only=True)
class SystemPython:
    """A Python with a CUDA torch: its executable, package folders, and packages by version."""

    executable: str
    folders: tuple[str, ...]
    packages: Mapping[str, str]

    @property
    def torch(self) -> str:
        """Its torch's version, as pip tells it."""
        return self.packages["torch"]

    @property
    def vllm(self) -> str | None:
        """The vLLM release that fits its torch; None: the table has none."""
        return VLLM_OF_TORCH.get(".".join(self.torch.split(".")[:2]))


def parse_packages(listing: str) -> dict[str, str]:
    """Names (normalized) and versions in ``pip list --format=freeze``; other lines are none."""
    found = {}
    for line in listing.splitlines():
        if pin := _PIN.match(line.strip()):
            found[normalized(pin[1])] = pin[2]
    return found


def normalized(name: str) -> str:
    """A distribution's name as the packaging specification compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def packages_to_hide(packages: Iterable[str]) -> list[str]:
    """Those of a Python's packages that stand or fall with its torch."""
    return sorted(name for name in packages if _TORCH_FAMILY.fullmatch(name))


def read_system_python(executable: Path) -> SystemPython | None:
    """What a Python holds; None: it has no torch built for CUDA. Blocks for a second or two."""
    listing = _output(executable, "-m", "pip", "list", "--format=freeze")
    packages = parse_packages(listing)
    if "torch" not in packages:
        return None
    told = _output(executable, "-c", _LOOK)
    if not told:
        return None
    found = json.loads(told)
    if not found["cuda"]:
        return None
    return SystemPython(
        executable=str(executable), folders=tuple(found["folders"]), packages=packages
    )


def _output(executable: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            [str(executable), *words],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
