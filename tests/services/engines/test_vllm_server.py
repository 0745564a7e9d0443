"""No chat template keeps vLLM from starting, nor ends a connection.

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


# As the test client would raise it, Starlette raises it again beyond our middleware.
CHAT = """
from types import SimpleNamespace
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jinja2 import TemplateSyntaxError
from services.engines.in_vllm.vllm_server import require_key
from vllm.entrypoints.serve.exception_handling.register import init_exception_handler

app = FastAPI()
app.state.args = SimpleNamespace(log_error_stack=False)
init_exception_handler(app)
app.middleware("http")(require_key)

@app.get("/chat")
def chat():
    raise TemplateSyntaxError("Unexpected end of template", 1)

answer = TestClient(app).get("/chat", headers={"authorization": "Bearer key"})
print(answer.status_code, answer.json()["error"]["message"].split()[0])
"""


def test_a_probe_that_fails_answers_what_it_is_told() -> None:
    probe = spared(lambda text: 1 / len(text), 7.0)
    assert probe("ab") == 0.5
    assert probe("") == 7.0


@pytest.mark.engine
def test_vllms_own_probes_of_a_template_end_nothing() -> None:
    assert told_by(PROBES) == ["True", "None"]


@pytest.mark.engine
def test_a_chat_whose_template_cannot_be_read_is_refused_and_keeps_its_connection() -> None:
    assert told_by(CHAT) == ["400", "Unexpected"]


def told_by(program: str) -> list[str]:
    done = subprocess.run(
        [str(python_of("vllm")), "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "VLLM_API_KEY": "key"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.split()[-2:]
