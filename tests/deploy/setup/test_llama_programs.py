"""llama.cpp's own programs, upon the library that was compiled already."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy.setup.llama_programs import LISTS, PROGRAMS, ggml_parts, main

TOOLS = ("cmake", "ninja", "cc", "c++")
MAIN = (
    '#include <stdio.h>\nint told(void);\nint main(void) { printf("%d\\n", told()); return 0; }\n'
)
EMPTY = ("vendor", "common", "tools/mtmd", "tools/ui")


def test_whatever_parts_of_ggml_were_compiled_are_linked(tmp_path: Path) -> None:
    for name in ("ggml", "ggml-base", "ggml-cpu", "ggml-cuda", "llama"):
        (tmp_path / f"lib{name}.so").touch()
        (tmp_path / f"lib{name}.so.0").touch()
    assert ggml_parts(tmp_path) == ["ggml", "ggml-base", "ggml-cpu", "ggml-cuda"]


def test_nothing_is_fetched_while_the_programs_are_compiled() -> None:
    """Upstream's own lists would ask Hugging Face for the pages, and Git for a TLS library."""
    for setting in ("LLAMA_USE_PREBUILT_UI OFF", "LLAMA_OPENSSL OFF"):
        assert f"set({setting})" in LISTS.read_text()


def sources() -> dict[str, str]:
    """As little as has llama.cpp's folders: two programs that ask the library for a number."""
    files = {f"{folder}/CMakeLists.txt": "" for folder in EMPTY}
    empty = ("cmake/common.cmake", "cmake/license.cmake", "include/llama.h", "ggml/include/ggml.h")
    files |= dict.fromkeys(empty, "")
    for program in PROGRAMS:
        folder = f"tools/{program.removeprefix('llama-') if 'server' in program else program}"
        lists = f"add_executable({program} main.c)\ntarget_link_libraries({program} llama)\n"
        files |= {f"{folder}/CMakeLists.txt": lists, f"{folder}/main.c": MAIN}
    return files


def sdist(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {**sources(), "CMakeLists.txt": "syntax error ("}.items():
            member = tarfile.TarInfo(f"thing-1.0/vendor/llama.cpp/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def compiled(folder: Path) -> Path:
    """A library of which every part tells a number."""
    folder.mkdir()
    for name, number in (("ggml", 1), ("ggml-base", 2), ("ggml-cpu", 3), ("llama", 42)):
        source = folder / "source.c"
        source.write_text(
            f"int {'told' if name == 'llama' else f'part{number}'}(void) {{ return {number}; }}"
        )
        library = folder / f"lib{name}.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return folder


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_the_programs_run_upon_the_library_that_is_there(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    archive, libraries = sdist(tmp_path / "thing.tar.gz"), compiled(tmp_path / "lib")
    assert main([str(archive), str(libraries), str(output)]) == 0
    assert sorted(path.name for path in output.iterdir()) == sorted(PROGRAMS)
    for program in PROGRAMS:
        done = subprocess.run([output / program], capture_output=True, text=True)
        assert done.stdout == "42\n", done.stderr
    assert not list(tmp_path.glob(".llama-*"))


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_what_cannot_be_compiled_leaves_nothing(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    assert main([str(sdist(tmp_path / "thing.tar.gz")), str(tmp_path / "nowhere"), str(output)])
    assert not list(output.iterdir())
    assert not list(tmp_path.glob(".llama-*"))
