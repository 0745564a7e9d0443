"""``python …/example_server.py SERVER ARGUMENTS``: run the example server without multimodal parts.

It imports llama.cpp's library for pictures at its top and uses it only where a model is set up for
them. Our build has none; with an empty module in its place all servers run on the very same build.
"""

import runpy
import sys
import types

import llama_cpp

llama_cpp.mtmd_cpp = types.ModuleType("llama_cpp.mtmd_cpp")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
