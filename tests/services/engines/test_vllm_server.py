"""No chat template keeps vLLM from starting.

covers: services/engines/in_vllm/vllm_server.py
"""

import os
import subprocess

import pytest

from quantize.jobs.environment import python_of
from quantize.root import ROOT
from services.engines.in_vllm.vllm_server import spared

# Undefined is nothing that JSON has: a TypeError, which neither probe expects.
PROBES = """
from types import SimpleNamespace
from services.engines.in_vllm import vllm_server
from vllm.entrypoints.anthropic.serving import AnthropicServingMessages
from vllm.entrypoints.generate.structured_decisions import api_router

class Broken:
    @property
    def model_config(self):
        raise TypeError("Object of type Undefined is not JSON serializable")

print(AnthropicServingMessages._detect_merge_inline_system("{{ tools | tojson }}"))
state = SimpleNamespace()
api_router.init_structured_decisions_state(Broken(), state, None, None, (), {})
print(state.serving_structured_decisions)
"""


def test_a_probe_that_fails_answers_what_it_is_told() -> None:
    probe = spared(lambda text: 1 / len(text), 7.0)
    assert probe("ab") == 0.5
    assert probe("") == 7.0


@pytest.mark.engine
def test_vllms_own_probes_of_a_template_end_nothing() -> None:
    done = subprocess.run(
        [str(python_of("vllm")), "-c", PROBES],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.split()[-2:] == ["True", "None"]
