"""The plan of the house as numbers: ``python -m tests.layout [--root DIR] [--arrows]``.

Reads the imports of every file (nothing is imported, so any older checkout can be looked at) and
prints rooms, files, lines, arrows and what breaks the laws that ``tests/test_layout.py`` holds.

A room is a folder with code; a file directly in a top folder is a room of its own. ``in_<env>``
folders hold what runs in another virtual environment and count with the room that holds them.
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.rooms import ROOMS

# Each may import from those before it.
TOP_FOLDERS = ("quantize", "services", "deploy", "loadtest", "eval", "tests")
PRODUCT = TOP_FOLDERS[:-1]

Arrows = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Module:
    """One file of ours: its dotted name, its path below the root, and what it imports."""

    name: str
    path: Path
    lines: int
    imports: frozenset[str]

    @property
    def top(self) -> str:
        """The top folder that it lies in."""
        return self.path.parts[0]

    @property
    def environment(self) -> str | None:
        """The virtual environment of its ``in_<environment>`` folder; None outside of them."""
        return _environment(self.path.parts)

    @property
    def room(self) -> str:
        """Its folder as ``quantize/formats``; the file itself where that is a top folder."""
        folder = [part for part in self.path.parent.parts if not part.startswith("in_")]
        return "/".join(folder if len(folder) > 1 else [*folder, self.path.stem])


def _environment(parts: Iterable[str]) -> str | None:
    return next((part[len("in_") :] for part in parts if part.startswith("in_")), None)


@dataclass(frozen=True)
class House:
    """All modules of a checkout by name."""

    modules: Mapping[str, Module]

    @cached_property
    def files(self) -> Arrows:
        """Which of our modules each of them imports."""
        return {
            module.name: frozenset(module.imports & self.modules.keys())
            for module in self.modules.values()
        }

    def rooms(self, top: str) -> Arrows:
        """Which rooms of the same top folder each of its rooms imports from."""
        found: dict[str, set[str]] = {}
        for module in self.of(top):
            targets = found.setdefault(module.room, set())
            rooms = {self.modules[name].room for name in self.files[module.name]}
            targets |= {room for room in rooms if room.split("/")[0] == top} - {module.room}
        return {room: frozenset(targets) for room, targets in found.items()}

    def of(self, top: str) -> list[Module]:
        """The modules of one top folder."""
        return [module for module in self.modules.values() if module.top == top]

    def upward(self) -> list[str]:
        """Imports that run against the order of the top folders, as ``a -> b``."""
        return [
            f"{module.name} -> {name}"
            for module in self.modules.values()
            for name in sorted(self.files[module.name])
            if TOP_FOLDERS.index(self.modules[name].top) > TOP_FOLDERS.index(module.top)
        ]

    def into_environments(self) -> list[str]:
        """Imports of what runs in another environment than the importing file, as ``a -> b``."""
        return [
            f"{module.name} -> {name}"
            for module in self.modules.values()
            for name in sorted(self.files[module.name])
            if self.modules[name].environment not in {None, module.environment}
        ]


def read_house(root: Path) -> House:
    """Every Python file below the top folders of a checkout, but for the empty ``__init__.py``."""
    paths = [path for top in TOP_FOLDERS for path in sorted((root / top).rglob("*.py"))]
    texts = {path.relative_to(root): path.read_text() for path in paths}
    names = {_module_name(path) for path in texts}
    modules = (_read_module(path, text, names) for path, text in texts.items() if text.strip())
    return House({module.name: module for module in modules})


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read_module(path: Path, text: str, names: set[str]) -> Module:
    imports = frozenset(_imports(ast.parse(text), names))
    return Module(_module_name(path), path, len(text.splitlines()), imports)


def _imports(tree: ast.AST, names: set[str]) -> Iterator[str]:
    """What a file imports, wherever in it; ``from a import b`` is ``a.b`` where that is a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in whole if name in names)
            if any(name not in names for name in whole):
                yield node.module


def circle(arrows: Arrows) -> list[str] | None:
    """One way round a graph, its first node again at the end; None where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        way: list[str] = error.args[1]
        return way[::-1]
    return None


def in_circles(arrows: Arrows) -> set[str]:
    """All nodes that can be reached from themselves."""
    return {node for node in arrows if node in _reachable(arrows, node)}


def _reachable(arrows: Arrows, start: str) -> set[str]:
    found: set[str] = set()
    left = list(arrows.get(start, ()))
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += arrows.get(node, ())
    return found


def shared_names(house: House) -> dict[str, list[str]]:
    """File names that stand in more than one folder of the product, with the folders."""
    folders: dict[str, list[str]] = defaultdict(list)
    for module in house.modules.values():
        if module.top in PRODUCT and not module.path.stem.startswith("__"):
            folders[module.path.stem].append(str(module.path.parent))
    return {name: found for name, found in sorted(folders.items()) if len(found) > 1}


def _print_rooms(house: House, top: str, *, arrows: bool) -> None:
    modules, rooms = house.of(top), house.rooms(top)
    count = sum(map(len, rooms.values()))
    folders = {module.path.parent for module in modules if module.environment is None}
    flat = sum(len(module.path.parts) == 2 for module in modules)
    print(
        f"{top + '/':<11} {len(modules):4} files {sum(m.lines for m in modules):6} lines   "
        f"{len(folders - {Path(top)}):2} folders, {flat:2} files on top, {count:3} arrows between"
    )
    for room in sorted(rooms) if arrows else ():
        inside = [module for module in modules if module.room == room]
        short = [name.removeprefix(f"{top}/") for name in sorted(rooms[room])]
        size = f"{len(inside):3} files {sum(m.lines for m in inside):5} lines"
        print(f"    {room.removeprefix(f'{top}/'):<20} {size}  {ROOMS.get(room, '')}")
        print(f"    {'':<20} imports {', '.join(short) or 'none of the others'}")


def _told(title: str, found: Iterable[str]) -> None:
    lines = list(found)
    print(f"{title}: {len(lines)}")
    for line in lines:
        print(f"    {line}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.layout", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="another checkout")
    parser.add_argument("--arrows", action="store_true", help="every room and its imports")
    options = parser.parse_args()
    house = read_house(options.root)
    for top in TOP_FOLDERS:
        _print_rooms(house, top, arrows=options.arrows)
    _told("arrows that run back up between the top folders", house.upward())
    _told("files in circles", sorted(in_circles(house.files)))
    rooms = (room for top in PRODUCT for room in sorted(in_circles(house.rooms(top))))
    _told("rooms in circles", rooms)
    _told("imports from inside another environment's folder", house.into_environments())
    shared = shared_names(house).items()
    _told("names in more than one folder", (f"{name}: {', '.join(at)}" for name, at in shared))


if __name__ == "__main__":
    main()
