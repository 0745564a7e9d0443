"""Every module has its test where its path says, or a larger test names it as covered.

A file ``tests/<path>/test_x.py`` tests ``<path>/x.py`` (or ``x.py`` beside it). Whatever else it is
the test of stands at the end of its docstring, after ``covers:``, as files of the repository
(patterns may stand for several), separated by commas.

covers: tests/**/test_*.py
"""

import ast
import re
from pathlib import Path

from quantize.root import ROOT
from tests.layout import PRODUCT, read_house

COVERS = re.compile(r"\ncovers:(.+)", re.DOTALL)


def files_of_tests(root: Path) -> list[Path]:
    """The test files, relative to the root."""
    return sorted(path.relative_to(root) for path in (root / "tests").rglob("test_*.py"))


def named(root: Path, test: Path) -> list[str]:
    """What a test's docstring says that it covers."""
    docstring = ast.get_docstring(ast.parse((root / test).read_text(encoding="utf-8"))) or ""
    found = COVERS.search(docstring)
    return [name.strip() for name in found[1].split(",")] if found else []


def mirrored(root: Path, test: Path) -> Path | None:
    """The module that a test is named after, where there is one."""
    beside = test.with_name(test.name.removeprefix("test_"))
    for path in (beside.relative_to("tests"), beside):
        if (root / path).is_file():
            return path
    return None


def covered(root: Path) -> set[Path]:
    """Every file that a test is named after or names."""
    mirrors = {path for test in files_of_tests(root) if (path := mirrored(root, test))}
    patterns = [name for test in files_of_tests(root) for name in named(root, test)]
    return mirrors | {path.relative_to(root) for name in patterns for path in root.glob(name)}


def test_every_test_is_named_after_a_module_or_names_what_it_covers() -> None:
    assert [
        test for test in files_of_tests(ROOT) if not (mirrored(ROOT, test) or named(ROOT, test))
    ] == []


def test_what_is_named_as_covered_is_there() -> None:
    gone = {
        f"{test}: {name}"
        for test in files_of_tests(ROOT)
        for name in named(ROOT, test)
        if not any(ROOT.glob(name))
    }
    assert gone == set()


def test_every_module_of_the_product_is_covered() -> None:
    house = read_house(ROOT)
    modules = {Path(module.path) for top in PRODUCT for module in house.of(top)}
    code = {path for path in modules if path.name != "__init__.py"}
    assert len(code) > 200
    assert code - covered(ROOT) == set()


def test_what_nothing_covers_is_found(tmp_path: Path) -> None:
    files = {
        "eval/one.py": "",
        "eval/two.py": "",
        "eval/three.py": "",
        "tests/eval/test_one.py": '"""One.\n\ncovers: eval/two.py, eval/four.py\n"""',
        "tests/eval/test_five.py": '"""Covers: nothing."""',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    five, one = files_of_tests(tmp_path)
    assert mirrored(tmp_path, one) == Path("eval/one.py")
    assert (mirrored(tmp_path, five), named(tmp_path, five)) == (None, [])
    assert named(tmp_path, one) == ["eval/two.py", "eval/four.py"]
    assert covered(tmp_path) == {Path("eval/one.py"), Path("eval/two.py")}
