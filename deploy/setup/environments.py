"""The virtual environments under ``.venvs/``, as the tools' pins contradict each other.

A finished environment is recognised by the hash of what it was made from;
``deploy.setup.installer`` makes them. Standard library only: it runs before any of them exists.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quantize.root import ROOT, VENVS

PINS = ROOT / "deploy" / "envs"
MARKER = "assay-environment.json"
LAST_SETUP = VENVS / "last-setup.json"
UV_PIN = "uv==0.13.9"
LLAMA_CPP_PYTHON = "llama-cpp-python==0.3.36"


class SetupError(RuntimeError):
    """Something set-up needs is missing or failed; the message says what to do."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One virtual environment.

    ``build_first`` is installed before the rest, for packages in ``without_isolation`` that
    build against what is already there; ``build_settings`` are variables of the build.
    ``converter`` and ``example_server`` are pinned source distributions of which a part is kept.
    An environment ``upon`` another sees that one's packages behind its own. An ``optional`` one is
    only made where it is asked for by name.
    """

    name: str
    torch: bool = False
    build_first: tuple[str, ...] = ()
    without_isolation: tuple[str, ...] = ()
    build_settings: tuple[tuple[str, str], ...] = ()
    converter: str | None = None
    editable: bool = False
    # Not in the ``repr`` that is hashed: the environments that have none of it keep their hash.
    example_server: str | None = field(default=None, repr=False)
    upon: str | None = field(default=None, repr=False)
    optional: bool = field(default=False, repr=False)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment(name="control", editable=True),
        Environment(name="vllm", torch=True),
        Environment(
            name="quantize",
            torch=True,
            build_first=("setuptools==84.2.1", "wheel==0.47.0", "ninja==1.13.2"),
            without_isolation=("gptqmodel",),
        ),
        Environment(
            name="llamacpp",
            build_settings=(("CMAKE_ARGS", "-DLLAVA_BUILD=OFF"),),
            converter=LLAMA_CPP_PYTHON,
        ),
        Environment(name="fuzz", optional=True),
        Environment(name="compose", optional=True),
        Environment(name="peers", example_server=LLAMA_CPP_PYTHON, upon="llamacpp", optional=True),
    )
}
DEFAULT = [item.name for item in ENVIRONMENTS.values() if not item.optional]


def environment_hash(environment: Environment) -> str:
    """Hash of everything an environment is made from: pins, settings, Python."""
    digest = hashlib.sha256(repr((environment, sys.version_info[:3], UV_PIN)).encode())
    for path in (PINS / f"{environment.name}.txt", PINS / "overrides.txt"):
        digest.update(path.read_bytes())
    if environment.example_server:
        digest.update(environment.example_server.encode())
    if environment.upon:
        digest.update(environment_hash(ENVIRONMENTS[environment.upon]).encode())
    return digest.hexdigest()


def is_finished(environment: Environment) -> bool:
    """Whether the environment was made, whole, from today's pins."""
    try:
        marker = json.loads((VENVS / environment.name / MARKER).read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return bool(marker["hash"] == environment_hash(environment))


def unfinished(names: Iterable[str]) -> list[Environment]:
    """Those of the named environments that set-up would make."""
    return [ENVIRONMENTS[name] for name in names if not is_finished(ENVIRONMENTS[name])]


def base_python() -> str:
    """The Python that this one's environment was made from, or this one itself.

    Set-up runs on it: an environment can neither remake itself nor, without pip, fetch sources.
    """
    return str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
