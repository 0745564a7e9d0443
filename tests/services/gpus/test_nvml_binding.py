"""NVIDIA's own binding is asked as it wants to be, over a driver's library that is made here.

The library has the functions and structures of nvml.h that we use, but for one that old drivers
lack, and one that this card does not support.

covers: services/gpus/nvml.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.root import ROOT

LIBRARY = """
#include <string.h>
#define ASKED __attribute__((visibility("default"))) int
enum { OK = 0, NOT_SUPPORTED = 3, TOO_SMALL = 7 };
typedef struct { unsigned gpu, memory; } Use;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } Process;
ASKED nvmlInitWithFlags(unsigned flags) { return OK; }
ASKED nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return OK; }
ASKED nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card) { *card = card; return OK; }
ASKED nvmlDeviceGetUUID(void *card, char *text, unsigned size) {
  strncpy(text, "GPU-1111-2222", size); return OK; }
ASKED nvmlDeviceGetName(void *card, char *text, unsigned size) {
  strncpy(text, "NVIDIA Test", size); return OK; }
ASKED nvmlDeviceGetUtilizationRates(void *card, Use *use) {
  use->gpu = 42; use->memory = 7; return OK; }
ASKED nvmlDeviceGetMemoryInfo(void *card, Memory *memory) {
  memory->total = 1ull << 37; memory->free = 1ull << 36; memory->used = 1ull << 35; return OK; }
ASKED nvmlDeviceGetPowerUsage(void *card, unsigned *milliwatts) { return NOT_SUPPORTED; }
ASKED nvmlDeviceGetTotalEnergyConsumption(void *card, unsigned long long *millijoules) {
  *millijoules = 5000000250ull; return OK; }
ASKED nvmlDeviceGetClockInfo(void *card, unsigned kind, unsigned *megahertz) {
  *megahertz = kind == 1 ? 1980 : 2619; return OK; }
ASKED nvmlDeviceGetComputeRunningProcesses_v3(void *card, unsigned *count, Process *found) {
  if (*count < 1) { *count = 1; return TOO_SMALL; }
  *count = 1; found[0].pid = 4242; found[0].used = 3ull << 30; return OK; }
"""
PROGRAM = """
import dataclasses, json
from services.gpus.nvml import read_gpus
told = dataclasses.asdict(read_gpus()[0])
print(json.dumps(told | {"throttled": told["throttled"] and sorted(told["throttled"])}))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    (folder / "nvml.c").write_text(LIBRARY)
    # The compiler that set-up wants for llama.cpp.
    compiler = ["c++", "-x", "c", "-shared", "-fPIC"]
    output = folder / "libnvidia-ml.so.1"
    subprocess.run([*compiler, folder / "nvml.c", "-o", output], check=True, capture_output=True)
    return folder


def test_the_binding_reads_structures_units_and_processes_from_a_library(library: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    gpu = json.loads(told.stdout)
    assert (gpu["index"], gpu["uuid"], gpu["name"]) == ("0", "GPU-1111-2222", "NVIDIA Test")
    assert (gpu["used_ratio"], gpu["energy_joules"]) == (0.42, 5_000_000.25)
    assert (gpu["memory_used_bytes"], gpu["memory_bytes"]) == (1 << 35, 1 << 37)
    assert (gpu["sm_clock_hertz"], gpu["memory_clock_hertz"]) == (1.98e9, 2.619e9)
    assert gpu["processes"] == {"4242": 3 << 30}
    assert (gpu["power_watts"], gpu["throttled"], gpu["unified"]) == (None, None, False)
    assert gpu["read_at_s"] > 0
