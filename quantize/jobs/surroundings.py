"""What the user's shell gives to our processes, and what of it goes no further.

Standard library only: ``./assay`` asks this on the system's Python.
"""

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# curl and Python's libraries read either, and disagree on which comes first.
_NO_PROXY = ("no_proxy", "NO_PROXY")
# They decide what Python imports, ours or the user's modules of the same names (python(1)).
PYTHON_PATHS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH")
# How names begin that would decide, unasked, what a tool computes or with how many threads: all of
# this is the plan's. Ray's own processes set many of the first kind.
_FOREIGN = (
    *("RAY_", "GGML_", "LLAMA_"),
    *("GOMP_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "NUMEXPR_", "BLIS_"),
    # Whole names: another number of servers, counters in a folder of another program, a library
    # that transformers is to do without, and keys that a tool which works offline has no use for.
    *("WEB_CONCURRENCY", "PROMETHEUS_MULTIPROC_DIR", "USE_TORCH"),
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)

# Folders that the user names for caches and settings.
_PLACES = ("XDG_", "HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TORCH_HOME")


def direct(environment: Mapping[str, str], *hosts: str) -> dict[str, str]:
    """The two variables by which nothing asks loopback, or ``hosts``, through the user's proxy."""
    given = [part for name in _NO_PROXY for part in environment.get(name, "").split(",")]
    kept = dict.fromkeys(part.strip() for part in (*given, *_LOOPBACK, *hosts))
    return dict.fromkeys(_NO_PROXY, ",".join(filter(None, kept)))


def foreign(environment: Mapping[str, str], own: Sequence[str] = ()) -> list[str]:
    """The variables that a tool must not find; ``own`` are more beginnings of names."""
    return sorted(name for name in environment if name.startswith((*_FOREIGN, *own)))


def stated(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without places that are empty, which libraries take for the current folder.

    They count as not given (XDG Base Directory Specification).
    """
    return {name: it for name, it in environment.items() if it or not name.startswith(_PLACES)}


def cleaned(environment: Mapping[str, str], own: Sequence[str] = ()) -> dict[str, str]:
    """An environment without them, and with loopback asked directly."""
    dropped = set(foreign(environment, own))
    kept = {name: value for name, value in stated(environment).items() if name not in dropped}
    return kept | direct(kept)


def somebody(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """A user's name and a home where ours are missing: many a library fails without.

    A container may run under a user id that no passwd file knows, and with a home that is not
    there or cannot be written; ``folder`` takes its place.
    """
    found: dict[str, str] = {}
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        name = environment.get("LOGNAME") or environment.get("USER") or f"user-{os.getuid()}"
        found |= {"USER": name, "LOGNAME": name}
    home = Path(environment.get("HOME") or "/nonexistent")
    if not os.access(home, os.W_OK | os.X_OK):
        found["HOME"] = str(folder)
    return found
