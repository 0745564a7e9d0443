"""The service's OpenAPI document: made from the models that validate requests, so it cannot drift.

It describes the subset of OpenAI's API that every engine here understands. Answers are described
by what is relied on (``id``, ``choices``, ``usage``), errors whole.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.http.routes import ROUTES, WRITTEN
from services.metrics.discovery import TARGETS_PATH
from services.server.protocol import ChatBody, CompletionBody

POSTS: dict[str, type[BaseModel]] = {
    "/v1/completions": CompletionBody,
    "/v1/chat/completions": ChatBody,
}
# What no engine is asked, as it is written; the id of a model is drawn by nobody.
GETS = tuple(
    written
    for route, written in zip(ROUTES, WRITTEN, strict=True)
    if "GET" in route.methods and "{" not in written
)
Document = dict[str, Any]

_ERROR: Document = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["integer", "string", "null"]},
            },
        }
    },
}
_ANSWER: Document = {
    "type": "object",
    "required": ["id", "object", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]},
    },
}


def document(variants: Sequence[str]) -> Document:
    """All routes of the gateway and of every variant's own prefix."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in POSTS.values()],
        ref_template="#/components/schemas/{model}",
    )
    definitions = schemas["$defs"]
    for model in POSTS.values():
        # A name drawn at random would only ever reach the 404.
        properties = definitions[model.__name__]["properties"]
        properties["model"] = {"enum": list(variants)}
        # What is accepted must be soon done: a few tokens, a few choices.
        properties["max_tokens"] = {"type": "integer", "minimum": 0, "maximum": 4}
        properties["n"] = {"type": "integer", "minimum": 1, "maximum": 2}
        definitions[model.__name__]["required"].append("max_tokens")
    paths: Document = {}
    for prefix in ("", *(f"/{variant}" for variant in variants)):
        for route, model in POSTS.items():
            paths[prefix + route] = {"post": _post(model.__name__)}
        for route in GETS:
            paths[prefix + route] = {"get": {"responses": _responses(_content(route))}}
    targets = {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}}
    paths[TARGETS_PATH] = {"get": {"responses": _responses(targets)}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Assay", "version": "1"},
        "paths": paths,
        "components": {"schemas": {**definitions, "Error": _ERROR, "Answer": _ANSWER}},
    }


def _post(model: str) -> Document:
    schema = {"$ref": f"#/components/schemas/{model}"}
    answer = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Answer"}},
        "text/event-stream": {"schema": {"type": "string"}},
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": _responses(answer),
    }


def _content(route: str) -> Document:
    if route == "/metrics":
        return {"text/plain": {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"type": "object"}}}


def _responses(content: Document) -> Document:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "the answer", "content": content},
        "4XX": {"description": "refused", "content": error},
    }
