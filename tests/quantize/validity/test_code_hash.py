"""The hash follows the code that is run, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.methods import METHODS
from quantize.root import ROOT
from quantize.validity.code_hash import PACKAGES, code_sha256, imported_modules

FILES = {
    "quantize/__init__.py": "",
    "quantize/stage.py": (
        '"""Makes it."""\n'
        "import json\n"
        "from quantize.middle import double\n"
        'WORKER = "quantize.in_tool.worker"\n'
        "def make(value):\n"
        '    """Make it."""\n'
        "    from quantize import late\n"
        "    return double(late.LATE + value)\n"
    ),
    "quantize/middle.py": (
        "from quantize.deep import FACTOR\ndef double(x):\n    return FACTOR * x\n"
    ),
    "quantize/deep.py": "FACTOR = 2\n",
    "quantize/late.py": "LATE = 1\n",
    "quantize/in_tool/__init__.py": "",
    "quantize/in_tool/worker.py": "from quantize.in_tool.inner import run\n",
    "quantize/in_tool/inner.py": "def run():\n    return 3\n",
    "quantize/command.py": "from quantize.stage import make\nprint('help')\n",
}
ENTRY = "quantize.stage"


def written(folder: Path, **changed: str) -> Path:
    """The example's files in a folder of their own; returns it."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.get(path.stem, content))
    return folder


def with_change(tmp_path: Path, module: str, old: str, new: str) -> bool:
    """Whether a change of one file changes the stage's hash."""
    (content,) = (text for name, text in FILES.items() if Path(name).stem == module)
    assert old in content
    before = written(tmp_path / "before")
    after = written(tmp_path / "after", **{module: content.replace(old, new)})
    return code_sha256(ENTRY, root=before) != code_sha256(ENTRY, root=after)


def test_the_graph_holds_what_is_imported_or_started_wherever_that_stands(tmp_path: Path) -> None:
    assert imported_modules(ENTRY, root=written(tmp_path)) == [
        "quantize",
        "quantize.deep",
        "quantize.in_tool",
        "quantize.in_tool.inner",
        "quantize.in_tool.worker",
        "quantize.late",
        "quantize.middle",
        "quantize.stage",
    ]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("stage", '"""Makes it."""', '"""Makes it well.\n\n    At length.\n"""'),
        ("stage", '"""Make it."""', '"""Make it, please."""'),
        ("stage", "import json\n", "# The standard library's.\nimport json  # as it is\n\n\n"),
        ("middle", "FACTOR * x", "(\n        FACTOR  *  x\n    )"),
        ("command", "'help'", "'more help'"),
    ],
)
def test_words_layout_and_callers_change_nothing(
    tmp_path: Path, module: str, old: str, new: str
) -> None:
    assert not with_change(tmp_path, module, old, new)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("stage", "LATE + value", "LATE - value"),
        ("deep", "FACTOR = 2", "FACTOR = 3"),
        ("late", "LATE = 1", "LATE = 2"),
        ("inner", "return 3", "return 4"),
        ("middle", "return FACTOR * x", "return 'FACTOR * x'"),
    ],
)
def test_a_change_of_what_is_run_anywhere_in_the_graph_changes_the_hash(
    tmp_path: Path, module: str, old: str, new: str
) -> None:
    assert with_change(tmp_path, module, old, new)


def test_a_relative_import_a_package_that_is_run_and_an_attribute_by_name_are_found(
    tmp_path: Path,
) -> None:
    root = written(
        tmp_path,
        stage='from .middle import double\nRUN = ("quantize.tool", "quantize.late.LATE")\n',
        middle="",
    )
    (root / "quantize" / "tool").mkdir()
    (root / "quantize" / "tool" / "__init__.py").write_text("")
    (root / "quantize" / "tool" / "__main__.py").write_text("print()\n")
    found = imported_modules(ENTRY, root=root)
    assert {"quantize.middle", "quantize.tool.__main__", "quantize.late"} <= set(found)


def test_an_entry_that_is_gone_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module 'quantize\.nowhere'"):
        code_sha256("quantize.nowhere")


def test_every_module_of_a_tool_lies_in_the_graph_of_the_method_that_starts_it() -> None:
    found = {name for spec in METHODS.values() for name in imported_modules(spec.make.__module__)}
    rooms = sorted((ROOT / "quantize").glob("by_*"))
    inside = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in rooms
        for path in room.rglob("in_*/*.py")
        if path.stem != "__init__"
    }
    assert inside <= found


def test_no_module_is_named_in_pieces_where_the_graph_could_not_see_it() -> None:
    begins = re.compile(rf'f"(?:{"|".join(PACKAGES)})\.[a-z_.]*\{{[^"]*"[,\]\)]')
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert not [path for path in files if begins.search(path.read_text())]


def test_the_order_of_work_is_in_no_method_s_graph() -> None:
    for spec in METHODS.values():
        found = set(imported_modules(spec.make.__module__))
        assert not found & {"quantize.make", "quantize.order"}
        assert not any(name.startswith(("quantize.sizing", "eval", "deploy")) for name in found)


def test_a_new_row_of_the_tables_makes_no_finished_artifact_anew() -> None:
    tables = {"quantize.recipes.catalogue", "quantize.formats.storage_formats", "quantize.methods"}
    for spec in METHODS.values():
        assert not tables & set(imported_modules(spec.make.__module__))


def test_a_process_of_another_environment_finds_the_same_hash() -> None:
    module = "quantize.by_gptqmodel.gptqmodel_checkpoint"
    script = (
        "import sys; from quantize.validity.code_hash import code_sha256; "
        "print(code_sha256(sys.argv[1]))"
    )
    # -S: without any installed package.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script, module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == code_sha256(module)
