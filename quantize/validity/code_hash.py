"""One hash of the code that makes a result: what was made is valid while the hash stays the same.

A stage names the modules that do its work, and whatever of ours these import is read along,
wherever in a file the import stands. A module named in a string is started in another process
(``-m``) or loaded by its name, and counts as imported; one that is started by its file's path
must be named by the stage.

Left out is what no result depends on: comments, layout, docstrings (commands print them as help),
and whatever only calls the stage, such as a command line or a progress line. Other files that a
stage reads, and the versions of libraries, are among its inputs: made_from.py.

The same code has the same hash on every Python from 3.11. Standard library only, for it runs in
every environment.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from quantize.root import ROOT

PACKAGES = ("quantize", "services", "deploy", "loadtest", "eval")
_NAMING = (ast.Import, ast.ImportFrom, ast.Constant)
_NAMED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")


@dataclass(frozen=True, kw_only=True)
class _Module:
    sha256: str
    imports: frozenset[str]


@cache
def code_sha256(*entries: str, root: Path = ROOT) -> str:
    """Hash of the named modules and of everything of ours that they import.

    Raises:
        ModuleNotFoundError: an entry is no module of ours.
        SyntaxError: a module cannot be parsed.
    """
    names = imported_modules(*entries, root=root)
    lines = (f"{name} {_module(name, root).sha256}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def imported_modules(*entries: str, root: Path = ROOT) -> list[str]:
    """The named modules and all that they import, sorted.

    Raises:
        ModuleNotFoundError: an entry is no module of ours.
    """
    for entry in entries:
        if _file(entry, root) is None:
            raise ModuleNotFoundError(f"no module {entry!r} in {root}", name=entry)
    found: set[str] = set()
    waiting = {name for entry in entries for name in _run_with(entry, root)}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _module(name, root).imports - found
    return sorted(found)


@cache
def _module(name: str, root: Path) -> _Module:
    path = _file(name, root)
    assert path is not None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    named: set[str] = set()
    content = repr(_plain(ast.parse(path.read_bytes(), path), package, named))
    known = filter(None, {_existing(words, root) for words in named})
    imports = frozenset(each for found in known for each in _run_with(found, root))
    return _Module(sha256=hashlib.sha256(content.encode()).hexdigest(), imports=imports)


@cache
def _file(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _existing(words: str, root: Path) -> str | None:
    """The module in ``package.module.Class.attribute``; None where there is none."""
    while words and _file(words, root) is None:
        words = words.rpartition(".")[0]
    return words or None


def _run_with(name: str, root: Path) -> Iterator[str]:
    """A module, the packages around it, and what ``-m`` runs of a package."""
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    if _file(f"{name}.__main__", root) is not None:
        yield f"{name}.__main__"


def _plain(node: ast.AST, package: str, named: set[str]) -> list[Any]:
    """A syntax tree as nested lists: no positions, no docstrings, no fields that are empty.

    (Newer Pythons have more fields, empty where older code is read; whether a name is read or
    written is said by its place.) What of ours is imported or named is added to ``named``.
    """
    if isinstance(node, _NAMING):
        named.update(_names(node, package))
    plain: list[Any] = [type(node).__name__]
    for field in node._fields:
        value = getattr(node, field, None) if field != "ctx" else None
        if isinstance(value, list):
            kept = [item for item in value if not _is_docstring(item)]
            value = [_plain(x, package, named) if isinstance(x, ast.AST) else x for x in kept]
        elif isinstance(value, ast.AST):
            value = _plain(value, package, named)
        if value is not None and value != []:
            plain += field, value
    return plain


def _is_docstring(node: object) -> bool:
    """Whether this is a string that stands as a statement: it is for readers."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _names(node: ast.AST, package: str) -> Iterable[str]:
    """What of ours a node imports, or names in a string."""
    match node:
        case ast.Constant(str(words)):
            return [words] if _NAMED.fullmatch(words) else []
        case ast.Import(aliases):
            return [alias.name for alias in aliases if _is_ours(alias.name)]
        case ast.ImportFrom(module, aliases, level):
            base = resolve_name("." * level + (module or ""), package)
            return [f"{base}.{alias.name}" for alias in aliases if _is_ours(base)]
    return ()


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES
