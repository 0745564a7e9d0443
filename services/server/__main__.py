"""``python -m services.server``: load a model, then serve it until SIGTERM."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from quantize.processors import usable_cpus

KEY_VARIABLE = "ASSAY_ENGINE_KEY"

# Each backend lives in its own environment, so its module is only imported when it is asked for.
BACKENDS = {
    "llamacpp": ("services.server.in_llamacpp.llamacpp_backend", "LlamaCppBackend"),
    "transformers": ("services.server.in_quantize.transformers_backend", "TransformersBackend"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status."""
    options = _parser().parse_args(arguments)
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        print(f"error: {KEY_VARIABLE} must hold the API key", file=sys.stderr)
        return 2
    # uvicorn raises the signal again after its own graceful stop: by then all is done.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    module, name = BACKENDS[options.backend]
    try:
        make_backend = getattr(import_module(module), name)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"error: {options.backend} cannot be loaded: {error}", file=sys.stderr)
        return 1
    # After the engine's libraries: compiled where C++'s runtime is linked into each of them, they
    # end with a segmentation fault once another library has brought a runtime of its own.
    from services.server.serving import serve

    return serve(make_backend, options, key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.server", description=__doc__)
    parser.add_argument("--backend", required=True, choices=sorted(BACKENDS))
    parser.add_argument("--model", required=True, type=Path, help="artifact directory or file")
    parser.add_argument("--served-name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--context-length", type=_positive, default=2048, metavar="TOKENS")
    parser.add_argument("--max-sequences", type=_positive, default=16)
    parser.add_argument("--threads", type=_positive, default=usable_cpus())
    parser.add_argument("--kv-cache-dtype", help="of llama.cpp: f16 (default), f32, q8_0 or q4_0")
    parser.add_argument("--kv-cache-gib", type=float, help="of llama.cpp: fewer sequences if small")
    parser.add_argument("--chat-template", type=Path, metavar="FILE", help="default: the model's")
    return parser


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


if __name__ == "__main__":
    sys.exit(main())
