"""Quantize a GGUF file with llama.cpp; in the ``llamacpp`` environment, in its own process.

``python -m quantize.gguf_quantize SOURCE TARGET FILE_TYPE THREADS``
"""

import ctypes
import sys

import llama_cpp


def main() -> None:
    """Write TARGET; exits with 2 where llama.cpp refuses."""
    source, target, file_type, threads = sys.argv[1:]
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{file_type}")
    parameters.nthread = int(threads)
    code = llama_cpp.llama_model_quantize(
        source.encode(), target.encode(), ctypes.byref(parameters)
    )
    if code:
        print(f"llama.cpp refused to quantize to {file_type} (code {code})", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
