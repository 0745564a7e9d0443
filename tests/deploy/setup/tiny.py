"""A source distribution that builds in a moment, without an index, and an environment of it."""

import io
import tarfile
from pathlib import Path

from deploy.setup.environments import Environment
from deploy.setup.sdist import CONVERTER

PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
BACKEND = """
import os, zipfile
def build_wheel(folder, *_):
    with open(os.environ["TINY_BUILDS"], "a") as stream:
        stream.write(os.environ["CMAKE_ARGS"] + "\\n")
    with zipfile.ZipFile(os.path.join(folder, "tiny-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.py", "made_with = %r" % os.environ["CMAKE_ARGS"])
        info = "tiny-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        tags = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\n" + tags)
        wheel.writestr(info + "RECORD", "")
    return "tiny-1.0-py3-none-any.whl"
def prepare_metadata_for_build_wheel(folder, *_):
    os.mkdir(os.path.join(folder, "tiny-1.0.dist-info"))
    with open(os.path.join(folder, "tiny-1.0.dist-info", "METADATA"), "w") as stream:
        stream.write("Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    return "tiny-1.0.dist-info"
"""
TINY = Environment(
    name="tiny",
    build_settings=(("CMAKE_ARGS", "-DCPU"),),
    cuda_settings=(("CMAKE_ARGS", "-DCUDA={architectures}"),),
    converter="tiny==1.0",
)


def write_sdist(folder: Path) -> None:
    files = {
        "PKG-INFO": METADATA,
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND,
        f"{CONVERTER.root}{CONVERTER.main}": "print('converts')",
    }
    with tarfile.open(folder / "tiny-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
