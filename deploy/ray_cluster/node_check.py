"""Whether a node of a Ray cluster has what its replicas need: this checkout, as it is here.

Standard library only: ``belongings`` travels to every node by value and runs there in Ray's own
Python, before anything of this project could be imported.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def belongings(paths: Sequence[str]) -> dict[str, str | None]:
    """What each path is on this machine; None where there is nothing.

    A program is only ``executable`` (it may be linked elsewhere), an artifact is its content's
    hash (its manifest also tells how long it took), any other file its own hash.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        try:
            if os.path.basename(os.path.dirname(path)) == "bin":
                found[path] = "executable" if os.access(path, os.X_OK) else None
            elif os.path.basename(path) == "manifest.json":
                with open(path) as stream:
                    files = sorted(
                        (item["path"], item["sha256"]) for item in json.load(stream)["files"]
                    )
                found[path] = hashlib.sha256(json.dumps(files).encode()).hexdigest()
            else:
                with open(path, "rb") as stream:
                    found[path] = hashlib.sha256(stream.read()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            found[path] = None
    return found


def difference(
    node: str, root: Path, here: Mapping[str, str | None], there: Mapping[str, str | None]
) -> str | None:
    """What a node lacks or has otherwise than this machine, and the remedy; None: nothing."""
    missing = [path for path in here if there[path] is None]
    other = [path for path in here if there[path] not in {None, here[path]}]
    if not missing and not other:
        return None
    parts = [
        f"{word} {_some(paths, root)}"
        for word, paths in (("lacks", missing), ("has another", other))
        if paths
    ]
    return (
        f"node {node} {' and '.join(parts)}: every node needs this checkout, its .venvs and its "
        f"artifacts at {root}, the same as here (a shared file system, or `rsync -a`)"
    )


def _some(paths: Sequence[str], root: Path) -> str:
    """The first of the paths, from the checkout's root, and how many more there are."""
    first = os.path.relpath(paths[0], root)
    return first if len(paths) == 1 else f"{first} (and {len(paths) - 1} more)"
