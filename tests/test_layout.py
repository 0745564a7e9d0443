"""The laws of the house: which way imports may point, and what an environment's folder means.

covers: quantize/root.py
"""

import importlib
import re
import sys
from pathlib import Path

import pytest

from deploy.setup.environments import ENVIRONMENTS
from quantize.jobs.llama_converter import GGUF_PY
from quantize.root import ROOT, VENVS
from tests.layout import PRODUCT, TOP_FOLDERS, House, Module, circle, read_house
from tests.rooms import ROOMS

HOUSE = read_house(ROOT)
# Libraries that compute, or that only some environments have: never loaded by what is light.
HEAVY = frozenset(
    {
        *("compressed_tensors", "gguf", "gptqmodel", "llama_cpp", "ml_dtypes", "modelopt"),
        *("safetensors", "sentencepiece", "tensorrt_llm", "torch", "transformers", "vllm"),
    }
)
# transformers' renderer of chat templates, which needs none of the rest.
RENDERS = "services.server.chat_template"
# Our own server's light half runs in the engines' environments.
SERVER = "services/server"
COMPUTED_ROOT = re.compile(r"__file__\)(\.resolve\(\))?\.parent(s\[|\.parent)")


def product() -> list[Module]:
    return [module for top in PRODUCT for module in HOUSE.of(top)]


def libraries(module: Module) -> set[str]:
    """The top names of other people's packages that it imports."""
    tops = {name.partition(".")[0] for name in module.imports}
    return tops - sys.stdlib_module_names - set(TOP_FOLDERS)


def all_libraries(module: Module, house: House) -> dict[str, str]:
    """Other people's packages that importing a module needs, each with one module that does."""
    seen, left = {module.name}, [module.name]
    needed: dict[str, str] = {}
    while left:
        name = left.pop()
        needed |= dict.fromkeys(libraries(house.modules[name]), name)
        left += house.files[name] - seen
        seen |= house.files[name]
    return needed


def holds(environment: str, library: str) -> bool:
    """Whether an environment has a package, or finds it beside llama.cpp's converter."""
    folders = [*(VENVS / environment / "lib").glob("python3*/site-packages"), GGUF_PY]
    return any(
        (folder / library).is_dir() or any(folder.glob(f"{library}.*")) for folder in folders
    )


@pytest.mark.parametrize("top", PRODUCT)
def test_every_top_folder_is_this_repositorys_own(top: str) -> None:
    """Their names are generic enough for an installed package to stand in their place."""
    path = importlib.import_module(top).__file__
    assert path is not None
    assert Path(path).resolve() == Path(__file__).resolve().parent.parent / top / "__init__.py"


def test_top_folders_import_only_from_those_before_them() -> None:
    assert HOUSE.upward() == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(HOUSE.files) is None


@pytest.mark.parametrize("top", PRODUCT)
def test_no_rooms_import_each_other_in_a_circle(top: str) -> None:
    assert circle(HOUSE.rooms(top)) is None


def test_what_runs_in_an_environment_is_imported_only_there() -> None:
    """Tests may: what they import needs nothing that only the environment has."""
    found = [arrow for arrow in HOUSE.into_environments() if ".test_" not in arrow.split(" ")[0]]
    assert found == []


def test_heavy_libraries_are_imported_only_in_an_environments_folder() -> None:
    found = {
        module.name: heavy
        for module in product()
        if module.environment is None and (heavy := libraries(module) & HEAVY)
        if (module.name, heavy) != (RENDERS, {"transformers"})
    }
    assert found == {}


@pytest.mark.parametrize("environment", ["control", "quantize", "llamacpp", "vllm"])
def test_an_environment_has_all_that_its_modules_import(environment: str) -> None:
    assert environment in ENVIRONMENTS
    lacking = {
        (module.name, user): library
        for module in product()
        if environment in environments_of(module)
        for library, user in all_libraries(module, HOUSE).items()
        if not holds(environment, library)
    }
    assert lacking == {}


def environments_of(module: Module) -> set[str]:
    if module.room == SERVER and module.environment is None:
        return {"control", "quantize", "llamacpp"}
    return {module.environment or "control"}


def test_no_module_of_loadtest_is_named_like_one_of_the_standard_library() -> None:
    """Locust puts ``loadtest/`` on ``sys.path``, before the standard library."""
    stems = {module.path.stem for module in HOUSE.of("loadtest")}
    assert stems & sys.stdlib_module_names == set()


def test_the_root_is_computed_in_one_place() -> None:
    """But for the test above that asks whether that one is right."""
    found = {
        str(module.path)
        for module in HOUSE.modules.values()
        if COMPUTED_ROOT.search((ROOT / module.path).read_text())
    }
    assert found == {"quantize/root.py", "tests/test_layout.py"}


def test_a_package_file_is_empty() -> None:
    found = [path for top in TOP_FOLDERS for path in (ROOT / top).rglob("__init__.py")]
    assert [path for path in found if path.read_text()] == []


def test_every_room_has_its_phrase() -> None:
    rooms = {module.room for module in product() if len(module.path.parts) > 2}
    assert rooms | set(PRODUCT) == ROOMS.keys()


def test_what_breaks_a_law_is_found(tmp_path: Path) -> None:
    files = {
        "quantize/a.py": "from quantize import b\nfrom eval.c import x\n",
        "quantize/b.py": "import quantize.a\n",
        "quantize/room/in_tool/d.py": "import torch\n",
        "quantize/room/e.py": "def f():\n    from quantize.room.in_tool.d import y\n",
        "quantize/other/f.py": "from quantize.room.e import f\n",
        "quantize/room/g.py": "from quantize.other.f import f\n",
        "eval/c.py": "import quantize.root\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    house = read_house(tmp_path)
    assert house.upward() == ["quantize.a -> eval.c"]
    assert circle(house.files) in (
        ["quantize.a", "quantize.b", "quantize.a"],
        ["quantize.b", "quantize.a", "quantize.b"],
    )
    assert house.rooms("quantize")["quantize/room"] == {"quantize/other"}
    assert house.rooms("quantize")["quantize/other"] == {"quantize/room"}
    assert house.into_environments() == ["quantize.room.e -> quantize.room.in_tool.d"]
    assert all_libraries(house.modules["quantize.other.f"], house) == {
        "torch": "quantize.room.in_tool.d"
    }
