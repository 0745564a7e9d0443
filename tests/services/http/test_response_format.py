"""A format is a schema for every engine, and a wrong one is refused with its place."""

from typing import Any

import pytest

from services.http.errors import RequestError
from services.http.response_format import read_format

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def test_text_is_no_format_and_an_object_is_the_schema_of_any() -> None:
    assert read_format({"model": "m"}) == {"model": "m"}
    assert read_format({"model": "m", "response_format": {"type": "text"}}) == {"model": "m"}
    read = read_format({"response_format": {"type": "json_object"}})["response_format"]
    assert read["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("more", [{}, {"strict": True}, {"strict": None, "description": "d"}])
def test_a_schema_is_read_once_and_for_all(more: dict[str, object]) -> None:
    named = {"name": "n", "schema": SCHEMA, **more}
    read = read_format({"response_format": {"type": "json_schema", "json_schema": named}})
    assert read["response_format"]["json_schema"] == {"name": "n", "schema": SCHEMA}
    assert read_format(read) == read


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("json", "response_format: "),
        ({"type": "xml"}, "response_format: "),
        ({"type": "json_object", "x": 1}, "response_format.x: "),
        ({"type": "json_schema"}, "response_format.json_schema: "),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, "json_schema.schema: "),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "objekt"}}},
            "response_format.json_schema.schema.type: ",
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"properties": {"a": {"minimum": "x"}}}},
            },
            "schema.properties.a.minimum: ",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_place(given: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_format({"response_format": given})
    assert place in caught.value.message
    assert (caught.value.status, caught.value.param) == (400, "response_format")
