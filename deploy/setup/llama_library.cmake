# Read by CMake after llama.cpp's own project(): of its sources only the library is compiled. What llama-cpp-python forces on
# beside it (argument parsing, chat templates, HTTP) is half of the work, and nothing here loads it.
set(LLAMA_BUILD_COMMON OFF)
