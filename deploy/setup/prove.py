"""Load what an environment needs: ``prove.py WORD…``, on that environment's Python.

A word is a module (``torch``), a condition (``torch.cuda``, ``llama_cpp.cuda``), or an extension of
a package that is loaded without the package (``vllm:_C|_C_stable_libtorch``: the first of these
that is there). Standard library only.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from pathlib import Path


class UnprovenError(Exception):
    """Something is not as it must be."""


def _torch_cuda() -> None:
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        torch.cuda.init()  # says why
        raise UnprovenError("torch finds no GPU")


def _llama_cuda() -> None:
    if not importlib.import_module("llama_cpp").llama_supports_gpu_offload():
        raise UnprovenError("llama.cpp was compiled without CUDA, or finds no GPU")


CONDITIONS: dict[str, Callable[[], None]] = {
    "torch.cuda": _torch_cuda,
    "llama_cpp.cuda": _llama_cuda,
}


def extension(package: str, names: list[str]) -> Path:
    """The file of the first of these extensions that a package has; the package is not loaded.

    Raises:
        UnprovenError: the package or all of the extensions are missing.
    """
    top, *inner = package.split("/")
    spec = importlib.util.find_spec(top)
    for root in (spec.submodule_search_locations or []) if spec else []:
        for name in names:
            if found := sorted(Path(root, *inner).glob(f"{name}.*so")):
                return found[0]
    raise UnprovenError(f"{package} has no extension {' or '.join(names)}")


def prove(word: str) -> None:
    """Load what a word says; whatever the loader raises is the answer."""
    package, colon, names = word.partition(":")
    if word in CONDITIONS:
        CONDITIONS[word]()
    elif colon:
        path = extension(package, names.split("|"))
        name = f"{package.replace('/', '.')}.{path.name.partition('.')[0]}"
        loader = ExtensionFileLoader(name, str(path))
        made = importlib.util.spec_from_file_location(name, path, loader=loader)
        assert made is not None
        loader.exec_module(importlib.util.module_from_spec(made))
    else:
        importlib.import_module(word)


def main(words: list[str]) -> int:
    """Prove each word; the first that fails is named. Returns the exit code."""
    for word in words:
        try:
            prove(word)
        except Exception as error:  # noqa: BLE001 (a package may raise anything as it loads)
            print(f"{word}: {type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
