"""Where set-up puts llama.cpp's converter and its gguf library.

They come out of the same llama-cpp-python source as the engine, so that writer and reader agree.
"""

from quantize.root import VENVS

CONVERTER = VENVS / "llamacpp" / "share" / "llama.cpp-convert"
GGUF_PY = CONVERTER / "gguf-py"
