"""An answer is held to a JSON schema, whatever the model would say.

covers: services/server/in_llamacpp/llamacpp_grammar.py
"""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.services.server.conftest import MODEL, RunningServer

pytestmark = pytest.mark.engine

# Bounded: a model of random weights would not end by itself.
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 3},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["name", "kind", "tags"],
    "additionalProperties": False,
}


def asked(schema: Any, **fields: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    return {
        "model": MODEL,
        "prompt": "the cat",
        "max_tokens": 200,
        "response_format": form,
    } | fields


@pytest.mark.parametrize(
    "drawn",
    [{"temperature": 0}, {"seed": 1}, {"seed": 2, "top_k": 3}, {"seed": 3, "top_p": 0.5, "n": 2}],
)
def test_an_answer_is_what_its_schema_says(server: RunningServer, drawn: dict[str, Any]) -> None:
    answer = server.client.post("/v1/completions", json=asked(SCHEMA, **drawn)).json()
    for choice in answer["choices"]:
        assert choice["finish_reason"] == "stop"
        Draft202012Validator(SCHEMA).validate(json.loads(choice["text"]))


def test_a_stream_is_held_to_it_as_well_and_others_beside_are_not(server: RunningServer) -> None:
    whole = server.client.post("/v1/completions", json=asked(SCHEMA, temperature=0)).json()
    body = asked(SCHEMA, temperature=0, stream=True)
    with server.client.stream("POST", "/v1/completions", json=body) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: {")]
        plain: Any = server.complete(prompt="the cat", max_tokens=8, temperature=0)
    text = "".join(json.loads(line)["choices"][0]["text"] for line in lines)
    assert text == whole["choices"][0]["text"]
    free: Any = server.complete(prompt="the cat", max_tokens=8, temperature=0)
    assert plain["choices"][0]["text"] == free["choices"][0]["text"]


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "#/nowhere"}, {"not": {}}])
def test_a_schema_that_no_grammar_can_be_made_of_is_refused(
    server: RunningServer, schema: dict[str, Any]
) -> None:
    answer = server.client.post("/v1/completions", json=asked(schema))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "response_format"
