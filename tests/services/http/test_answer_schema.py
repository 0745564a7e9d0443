"""What is asked for is held to, or refused by its place: nothing of a schema is left out."""

from typing import Any

import pytest

from services.http.answer_schema import check_schema
from services.http.errors import RequestError

PERSON = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "age": {"type": "integer", "description": "in years"},
        "home": {"$ref": "#/$defs/Town"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "born": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "code": {"type": "string", "pattern": "^[a-z]{2}$"},
        "note": {"type": ["string", "null"]},
        "rest": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"Town": {"type": "object", "properties": {"zip": {"const": "1"}}}},
}


def test_what_pydantic_and_openai_write_is_held_to() -> None:
    check_schema(PERSON, "schema", "response_format")
    check_schema({"type": "object"}, "schema", "response_format")


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "objekt"}, "schema.type: "),
        ({"type": "integer", "minimum": 3}, "schema.minimum: "),
        ({"minimum": 3}, "schema.minimum: "),
        ({}, "schema: say its type"),
        ({"properties": {}}, "schema: say its type"),
        ({"type": ["string", "null"], "enum": ["a"], "anyOf": []}, "schema.anyOf: "),
        ({"type": ["string", "null"], "maxLength": 3}, "schema.maxLength: "),
        ({"type": "object", "allOf": [{"type": "object"}]}, "schema.allOf: "),
        ({"$ref": "#/$defs/a", "type": "object"}, "schema.type: "),
        ({"$ref": "https://a.org/b"}, "schema.$ref: "),
        ({"type": "object", "required": ["a"]}, "schema.required: 'a'"),
        ({"type": "array", "minItems": 2}, "schema: how many"),
        ({"type": "array", "items": {"not": {}}}, "schema.items.not: "),
        ({"type": "object", "properties": {"a": True}}, "schema.properties.a: "),
        ({"type": "object", "additionalProperties": {}}, "schema.additionalProperties: say"),
        ({"anyOf": [{"type": "null"}, {"type": "number", "multipleOf": 2}]}, "anyOf.1.multipleOf"),
        ({"type": "string", "pattern": "a+"}, "schema.pattern: "),
        ({"type": "string", "pattern": "^a$", "maxLength": 3}, "schema: of a length"),
        ({"type": "string", "format": "email"}, "schema.format: "),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"if": {}}}}, "schema.$defs.a.if: "),
    ],
)
def test_what_no_answer_is_held_to_is_named_by_its_place(schema: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_schema(schema, "schema", "response_format")
    assert place in caught.value.message
    assert (caught.value.status, caught.value.param) == (400, "response_format")
