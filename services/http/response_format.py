"""``response_format``: how an answer must be written, held against what it may say.

OpenAI's ``json_object`` is the schema of any object, so engines are asked for schemas alone and
read both alike. A schema that is none is the client's mistake, and told before an engine trips.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.http.answer_schema import Schema, check_schema
from services.http.errors import RequestError

FIELD = "response_format"
Content = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Named(_Part):
    """A schema as OpenAI has it; ``strict`` or not, the grammar holds to it."""

    name: str
    description: str | None = None
    schema_: Schema = Field(alias="schema")
    strict: bool | None = None


class _JsonSchema(_Part):
    type: Literal["json_schema"]
    json_schema: _Named


class _JsonObject(_Part):
    type: Literal["json_object"]


class _Text(_Part):
    type: Literal["text"]


class _Body(BaseModel):
    response_format: Annotated[_JsonSchema | _JsonObject | _Text, Field(discriminator="type")]


def as_schema(name: str, schema: Schema) -> Content:
    """The format of a schema, as every engine reads it."""
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def read_format(content: Content) -> Content:
    """The body with its format as a schema; without one as it was.

    Raises:
        RequestError: 400 that names what is wrong with the format.
    """
    given = content.get(FIELD)
    if given is None:
        return content
    try:
        read = _Body.model_validate({FIELD: given}).response_format
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # The kind of format stands in the place too, where one was chosen by it.
        place = [str(part) for part in first["loc"] if part not in {"json_object", "text"}]
        if place[1:2] == ["json_schema"]:
            del place[1]
        raise RequestError(400, f"{'.'.join(place)}: {first['msg']}", param=FIELD) from None
    if isinstance(read, _Text):
        return {name: value for name, value in content.items() if name != FIELD}
    if isinstance(read, _JsonObject):
        return content | {FIELD: as_schema("object", {"type": "object"})}
    check_schema(read.json_schema.schema_, f"{FIELD}.json_schema.schema", FIELD)
    return content | {FIELD: as_schema(read.json_schema.name, read.json_schema.schema_)}
