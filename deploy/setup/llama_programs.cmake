# In place of llama.cpp's own CMakeLists.txt: upstream's programs upon the library that
# llama-cpp-python has compiled already, so that whoever is compared computes with the same code.
# Given are LIBRARIES, that library's folder, and GGML, the names of the parts of ggml in it.
cmake_minimum_required(VERSION 3.21)
project(llama_programs C CXX)

set(BUILD_SHARED_LIBS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_BUILD_RPATH ${LIBRARIES})
list(APPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)

foreach(name ${GGML} llama)
    add_library(${name} SHARED IMPORTED GLOBAL)
    set_target_properties(${name} PROPERTIES
        IMPORTED_LOCATION ${LIBRARIES}/lib${name}.so
        INTERFACE_INCLUDE_DIRECTORIES
        "${PROJECT_SOURCE_DIR}/include;${PROJECT_SOURCE_DIR}/ggml/include")
endforeach()
list(REMOVE_ITEM GGML ggml)
target_link_libraries(ggml INTERFACE ${GGML})
target_link_libraries(llama INTERFACE ggml)

# What its own says of them. No pages for browsers, no downloads: neither is asked for here.
set(LLAMA_BUILD_COMMON ON)
set(LLAMA_BUILD_SERVER ON)
set(LLAMA_SUBPROCESS ON)
set(LLAMA_USE_PREBUILT_UI OFF)
set(LLAMA_OPENSSL OFF)
set(LLAMA_BUILD_NUMBER 0)
set(LLAMA_BUILD_COMMIT sdist)
include(cmake/common.cmake)
include(cmake/license.cmake)
find_package(Threads REQUIRED)
foreach(folder vendor common tools/mtmd tools/ui tools/server tools/llama-bench)
    add_subdirectory(${folder})
endforeach()
