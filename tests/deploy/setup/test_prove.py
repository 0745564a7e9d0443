"""What an environment needs is loaded, without the package around it, and named if it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.setup.proofs import PROOF
from deploy.setup.prove import UnprovenError, extension, main


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that must not be loaded, with an extension that cannot be."""
    folder = tmp_path / "engine" / "inner"
    folder.mkdir(parents=True)
    (tmp_path / "engine" / "__init__.py").write_text("raise ImportError('loaded')\n")
    (folder / "_C.abi3.so").write_text("no library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_an_extension_is_found_without_its_package(package: Path) -> None:
    assert extension("engine/inner", ["_D", "_C"]) == package / "engine" / "inner" / "_C.abi3.so"
    with pytest.raises(UnprovenError, match="engine has no extension _C or _D"):
        extension("engine", ["_C", "_D"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("engine/inner:_C", "engine/inner:_C: ImportError: "),
        ("engine", "engine: ImportError: loaded"),
        ("no_such_engine", "no_such_engine: ModuleNotFoundError"),
        ("no_such_engine:_C", "no_such_engine has no extension _C"),
    ],
)
@pytest.mark.usefixtures("package")
def test_the_first_that_fails_is_named(
    word: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["json", word, "never_reached"]) == 1
    assert said in capsys.readouterr().out


def test_a_real_extension_is_loaded() -> None:
    words = ["json", "markupsafe:_no_such|_speedups"]
    done = subprocess.run([sys.executable, "-P", str(PROOF), *words], capture_output=True)
    assert done.returncode == 0, done.stdout


def test_a_condition_is_asked_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "llama_cpp.py").write_text("def llama_supports_gpu_offload(): return False\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)
    assert main(["llama_cpp.cuda"]) == 1
    assert "compiled without CUDA" in capsys.readouterr().out
