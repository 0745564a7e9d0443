"""The virtual environments under ``.venvs/``, as the tools' pins contradict each other.

A finished environment is recognised by the hash of what it was made from;
``deploy.setup.installer`` makes them. Which builds of the engines they hold is chosen once, by
``deploy.setup.builds``, and recorded. Standard library only: it runs before any of them exists.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.setup.builds import Build
from deploy.setup.llama_programs import LISTS as PROGRAM_LISTS
from deploy.setup.system_torch import SystemPython
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT, VENVS

PINS = ROOT / "deploy" / "envs"
MARKER = "assay-environment.json"
RECORD = "build.json"
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
    ``converter`` and ``example_server`` are pinned source distributions of which a part is kept,
    ``programs`` is one of which llama.cpp's own programs are compiled.
    ``cmake_include`` is read by CMake after the project of that name is declared: the path of the
    file depends on the checkout, and what is used of the result does not depend on it.
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
    # What the build settings are beside a CUDA compiler, ``{architectures}`` filled in.
    cuda_settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    # Not in the ``repr`` that is hashed: the environments that have none of it keep their hash.
    example_server: str | None = field(default=None, repr=False)
    programs: str | None = field(default=None, repr=False)
    cmake_include: tuple[str, Path] | None = field(default=None, repr=False)
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
            cuda_settings=(
                (
                    "CMAKE_ARGS",
                    "-DLLAVA_BUILD=OFF -DGGML_CUDA=on -DCMAKE_CUDA_ARCHITECTURES={architectures}",
                ),
            ),
            converter=LLAMA_CPP_PYTHON,
            cmake_include=("llama.cpp", Path(__file__).with_name("llama_library.cmake")),
        ),
        Environment(name="fuzz", optional=True),
        Environment(name="compose", optional=True),
        Environment(name="clients", upon="quantize", optional=True),
        Environment(
            name="peers",
            build_first=("cmake==4.4.5", "ninja==1.13.2"),
            example_server=LLAMA_CPP_PYTHON,
            programs=LLAMA_CPP_PYTHON,
            upon="llamacpp",
            optional=True,
        ),
    )
}
DEFAULT = [item.name for item in ENVIRONMENTS.values() if not item.optional]


def lock_of(environment: Environment, build: Build) -> Path | None:
    """The pins of an environment in a build; None: they are chosen beside the system's torch."""
    if build.system is not None and environment.torch:
        return None
    own = PINS / build.name / f"{environment.name}.txt"
    return own if own.is_file() else PINS / f"{environment.name}.txt"


def settings_of(environment: Environment, build: Build) -> dict[str, str]:
    """The variables with which an environment's sources are built."""
    if build.llama_cuda and environment.cuda_settings:
        return {
            key: value.format(architectures=build.llama_cuda)
            for key, value in environment.cuda_settings
        }
    return dict(environment.build_settings)


def build_of(environment: Environment, build: Build) -> str:
    """What an environment is built for, in one word; ``cpu`` where no GPU's build differs."""
    if environment.torch:
        return build.name
    if environment.cuda_settings and build.llama_cuda:
        return f"cuda-{build.llama_cuda}"
    return "cpu"


def environment_hash(environment: Environment, build: Build | None = None) -> str:
    """Hash of everything an environment is made from: pins, settings, build, Python."""
    build = build or recorded_build()
    digest = hashlib.sha256(repr((environment, sys.version_info[:3], UV_PIN)).encode())
    lock = lock_of(environment, build)
    for path in (lock or PINS / f"{environment.name}.in", PINS / "overrides.txt"):
        digest.update(path.read_bytes())
    if environment.example_server:
        digest.update(environment.example_server.encode())
    if environment.programs:
        digest.update(environment.programs.encode() + PROGRAM_LISTS.read_bytes())
    if environment.upon:
        digest.update(environment_hash(ENVIRONMENTS[environment.upon], build).encode())
    if (made_for := build_of(environment, build)) != "cpu":
        digest.update(made_for.encode())
        system = asdict(build.system) if lock is None and build.system else None
        digest.update(json.dumps([settings_of(environment, build), system]).encode())
    return digest.hexdigest()


def recorded_build() -> Build:
    """The build that set-up chose here; before it has run, the CPU's."""
    try:
        content = json.loads((VENVS / RECORD).read_text())
    except (OSError, json.JSONDecodeError):
        return Build()
    system = content.pop("system")
    content["gpus"] = tuple(content["gpus"])
    if system:
        system["folders"] = tuple(system["folders"])
    return Build(**content, system=SystemPython(**system) if system else None)


def record_build(build: Build) -> None:
    """Keep a choice for all commands to come."""
    write_whole(VENVS / RECORD, json.dumps(asdict(build), indent=2))


def is_finished(environment: Environment) -> bool:
    """Whether the environment was made, whole, from today's pins."""
    return bool(read_marker(environment.name).get("hash") == environment_hash(environment))


def read_marker(name: str) -> dict[str, object]:
    """What set-up wrote into an environment when it was finished; nothing before that."""
    try:
        content: dict[str, object] = json.loads((VENVS / name / MARKER).read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return content


def unfinished(names: Iterable[str]) -> list[Environment]:
    """Those of the named environments that set-up would make."""
    return [ENVIRONMENTS[name] for name in names if not is_finished(ENVIRONMENTS[name])]


def base_python() -> str:
    """The Python that this one's environment was made from, or this one itself.

    Set-up runs on it: an environment can neither remake itself nor, without pip, fetch sources.
    """
    return str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
