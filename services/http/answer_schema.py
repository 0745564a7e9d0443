"""The part of JSON Schema that every engine's grammars hold an answer to, and all of it.

Grammar libraries leave out in silence what they do not know (a ``minimum``, an ``enum`` beside a
list of types), each something else; the answer would then break the schema that was asked for. So
what is not in here is refused by its place (llama-cpp-python 0.3.36, ``llama_grammar.py``; vLLM
0.32, ``v1/structured_output/backend_xgrammar.py``).
"""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from services.http.errors import RequestError

Schema = dict[str, Any]
DEFINITIONS = "$defs"

_NOTES = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"$comment", "$schema", DEFINITIONS, "definitions"}
)
# Of these, one says all there is to say; a type may stand beside values.
_WHOLE = ("$ref", "anyOf", "oneOf", "enum", "const")
_OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": frozenset(),
    "number": frozenset(),
    "boolean": frozenset(),
    "null": frozenset(),
}
_FORMATS = ("date", "time", "date-time", "uuid")


def check_schema(schema: Schema, path: str, param: str) -> None:
    """Hold a schema against JSON Schema's own, and against what answers can be held to.

    Raises:
        RequestError: 400 with the path of the first thing that is wrong or not held to.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join((path, *map(str, error.path)))
        raise RequestError(400, f"{place}: {error.message}", param=param) from None
    try:
        for name in (DEFINITIONS, "definitions"):
            for key, inner in schema.get(name, {}).items():
                _check(inner, f"{path}.{name}.{key}")
        _check(schema, path)
    except _NotHeldTo as error:
        code = "unsupported_value"
        raise RequestError(400, str(error), param=param, code=code) from None


class _NotHeldTo(ValueError):
    """A place in a schema, and why no answer is held to it."""


def _check(schema: Any, path: str) -> None:
    if not isinstance(schema, dict):
        raise _NotHeldTo(f"{path}: a schema that allows all or nothing is not held to")
    said = schema.keys() - _NOTES
    whole = next((name for name in _WHOLE if name in said), None)
    if whole is None:
        return _check_type(schema, said, path)
    beside = said - {whole} - ({"type"} if whole in {"enum", "const"} else set())
    if beside:
        raise _NotHeldTo(f"{path}.{min(beside)}: not held to beside {whole}")
    if whole == "$ref" and not schema[whole].startswith("#/"):
        raise _NotHeldTo(f"{path}.$ref: only what the schema itself defines is found")
    if whole in {"anyOf", "oneOf"}:
        for place, inner in enumerate(schema[whole]):
            _check(inner, f"{path}.{whole}.{place}")
    return None


def _check_type(schema: Schema, said: set[str], path: str) -> None:
    kind = schema.get("type")
    if kind is None:
        unknown = said - {name for names in _OF_TYPE.values() for name in names}
        place = f"{path}.{min(unknown)}: not held to" if unknown else f"{path}: say its type"
        raise _NotHeldTo(place)
    allowed = _OF_TYPE[kind] if isinstance(kind, str) else frozenset()
    if beyond := said - {"type"} - allowed:
        raise _NotHeldTo(f"{path}.{min(beyond)}: not held to for the type {kind}")
    if kind == "object":
        _check_object(schema, path)
    elif kind == "array":
        if "items" in schema:
            _check(schema["items"], f"{path}.items")
        elif said != {"type"}:
            raise _NotHeldTo(f"{path}: how many is only held to where items are described")
    elif kind == "string":
        _check_string(schema, said, path)


def _check_object(schema: Schema, path: str) -> None:
    properties = schema.get("properties", {})
    for name, inner in properties.items():
        _check(inner, f"{path}.properties.{name}")
    if undescribed := set(schema.get("required", ())) - properties.keys():
        raise _NotHeldTo(f"{path}.required: {min(undescribed)!r} is not among the properties")
    if isinstance(inner := schema.get("additionalProperties"), dict):
        _check(inner, f"{path}.additionalProperties")


def _check_string(schema: Schema, said: set[str], path: str) -> None:
    if len(said & {"pattern", "format"}) + bool(said & {"minLength", "maxLength"}) > 1:
        raise _NotHeldTo(f"{path}: of a length, a pattern and a format one alone is held to")
    pattern = schema.get("pattern")
    if pattern is not None and not (pattern.startswith("^") and pattern.endswith("$")):
        raise _NotHeldTo(f"{path}.pattern: must begin with ^ and end with $")
    if schema.get("format", _FORMATS[0]) not in _FORMATS:
        raise _NotHeldTo(f"{path}.format: held to are {', '.join(_FORMATS)}")
