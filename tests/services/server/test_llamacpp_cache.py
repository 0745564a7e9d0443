"""The key-value cache keeps to its budget and has the type it was asked for.

covers: services/server/in_llamacpp/llamacpp_cache.py
"""

import json
import subprocess
from pathlib import Path

import pytest

from quantize.root import ROOT
from tests.services.server.conftest import PYTHON
from tests.services.server.tiny_llama import Shape, make_tiny_llama

pytestmark = pytest.mark.engine
CONTEXT = 512
# 2 (keys, values) x 2 layers x 2 KV heads x heads of 16 values x 4 bytes.
F32_BYTES = 2 * 2 * 2 * 16 * CONTEXT * 4

SCRIPT = """
import json, sys
from pathlib import Path
from services.server.backend import BackendError
from services.server.in_llamacpp.llamacpp_backend import LlamaCppBackend
options = json.loads(sys.argv[2])
try:
    backend = LlamaCppBackend(Path(sys.argv[1]), context_length=512, threads=1, **options)
except (BackendError, ValueError) as error:
    print(error)
else:
    print(backend.capacity.max_sequences)
    backend.close()
"""


def load(gguf: Path, **options: object) -> str:
    command = [str(PYTHON), "-c", SCRIPT, str(gguf), json.dumps({"max_sequences": 8, **options})]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_a_small_budget_runs_fewer_sequences_at_once(tiny_gguf: Path) -> None:
    budget = 3.5 * F32_BYTES / (1 << 30)
    assert load(tiny_gguf, kv_cache_dtype="f32", kv_cache_gib=budget) == "3"
    assert load(tiny_gguf, kv_cache_dtype="f16", kv_cache_gib=budget) == "7"
    assert load(tiny_gguf, kv_cache_dtype="f32", kv_cache_gib=1) == "8"


def test_a_budget_that_holds_no_sequence_is_refused_with_the_need(tiny_gguf: Path) -> None:
    reason = load(tiny_gguf, kv_cache_dtype="f32", kv_cache_gib=0.5 * F32_BYTES / (1 << 30))
    assert "serving.kv_cache_gib" in reason
    assert "holds no sequence of 512 tokens" in reason


def test_blocks_that_do_not_divide_a_head_are_refused(tiny_gguf: Path) -> None:
    assert "multiple of 32 values; this model's have 16" in load(tiny_gguf, kv_cache_dtype="q8_0")


def test_an_unknown_type_is_refused_with_the_valid_ones(tiny_gguf: Path) -> None:
    assert "(valid: f16, f32, q8_0, q4_0)" in load(tiny_gguf, kv_cache_dtype="fp8")


@pytest.mark.parametrize("dtype", ["q8_0", "q4_0"])
def test_a_model_with_wider_heads_takes_blocks(dtype: str, tmp_path: Path) -> None:
    make_tiny_llama(Shape(hidden=128, heads=2, kv_heads=2)).write_gguf(tmp_path / "wide.gguf")
    assert load(tmp_path / "wide.gguf", kv_cache_dtype=dtype, kv_cache_gib=1) == "8"
