"""Choose the versions of an environment that lies in front of a Python with a torch of its own.

uv resolves without seeing that Python. What stands or falls with its torch is taken out of the
resolution; the versions of all else there are preferred, and what then agrees is not installed.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.setup.environments import PINS
from deploy.setup.steps import Steps
from deploy.setup.system_torch import SystemPython, normalized, packages_to_hide
from quantize.root import VENVS

_NEVER = "sys_platform == 'never'"
COMPILE = ("pip", "compile", "--quiet", "--no-header", "--no-annotate")


def hidden(packages: Iterable[str]) -> str:
    """uv's overrides that take a Python's torch, and all that belongs to it, out."""
    return "".join(f"{name}; {_NEVER}\n" for name in packages_to_hide(packages))


def preferences(packages: Mapping[str, str]) -> str:
    """What uv finds in its output file, and keeps where it can. Local builds are on no index."""
    kept = set(packages) - set(packages_to_hide(packages))
    return "".join(
        f"{name}=={packages[name]}\n" for name in sorted(kept) if "+" not in packages[name]
    )


def lacking(resolved: str, packages: Mapping[str, str]) -> str:
    """The lines of a resolution that a Python does not satisfy as it is."""
    lines = []
    for line in resolved.splitlines():
        name, _, rest = line.partition("==")
        version = rest.partition(";")[0].strip()
        if _NEVER not in line and packages.get(normalized(name)) != version:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def relied_on(resolved: str, packages: Mapping[str, str]) -> dict[str, str]:
    """What a resolution takes of a Python as it is: its torch, and every version that agrees."""
    pins = (line.partition(";")[0].strip().partition("==") for line in resolved.splitlines())
    agreeing = {normalized(name): version for name, _, version in pins}
    return {
        name: version
        for name, version in packages.items()
        if name == "torch" or agreeing.get(name) == version
    }


def requirements_of(name: str, system: SystemPython) -> str:
    """What an environment asks for: vLLM's release that fits the torch, or its own file."""
    if name == "vllm":
        return f"vllm=={system.vllm}\n"
    return (PINS / f"{name}.in").read_text()


def resolve_beside(
    steps: Steps,
    system: SystemPython,
    name: str,
    output: Path,
    log: Path,
    target: Sequence[str] = (),
) -> dict[str, str]:
    """Write the pins of what an environment needs and the system's Python lacks; blocks.

    Returns what is relied on of that Python.

    Args:
        steps: runs uv.
        system: the Python with the torch.
        name: the environment.
        output: the file to write.
        log: where uv's words go.
        target: uv's options that name another machine (``--python-platform …``).

    Raises:
        SetupError: there is no such set of versions; uv's words say why.
    """
    with tempfile.TemporaryDirectory(dir=VENVS) as folder:
        wanted, overrides = Path(folder, f"{name}.in"), Path(folder, "overrides.txt")
        wanted.write_text(requirements_of(name, system))
        overrides.write_text((PINS / "overrides.txt").read_text() + hidden(system.packages))
        output.write_text(preferences(system.packages))
        steps.run(
            [
                *(steps.uv, *COMPILE, *steps.uv_words, *target, "--overrides", str(overrides)),
                *(str(wanted), "-o", str(output)),
            ],
            log,
        )
    resolved = output.read_text()
    output.write_text(lacking(resolved, system.packages))
    return relied_on(resolved, system.packages)
