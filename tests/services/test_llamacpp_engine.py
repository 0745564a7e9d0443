"""llama.cpp's launch: what it asks of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.engines.llamacpp_engine import LLAMACPP
from tests.services.test_variants import launch

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
# A block as large as a tensor, written to, and how much of it (KiB) lies on huge pages.
ALLOCATE = """
import ctypes, re
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ctypes.memset(libc.malloc(ctypes.c_size_t(64 << 20)), 1, 64 << 20)
print(re.search(r"AnonHugePages:\\s+(\\d+)", open("/proc/self/smaps_rollup").read())[1])
"""


@pytest.mark.skipif(
    not ENABLED.is_file() or "[never]" in ENABLED.read_text(),
    reason="the kernel has no transparent huge pages",
)
def test_large_memory_of_the_engine_lies_on_huge_pages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE],
        env={**os.environ, **LLAMACPP.env(launch())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 48 << 10
