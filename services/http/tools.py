"""``tools`` and ``tool_choice``: what a model may call, done before and behind every engine alike.

An engine gets the tools as what its template writes out, and, where a call is demanded, the schema
of the calls as its format. What it answers is read by ``tool_calls``. So no engine needs a reader
of its own, and a chat with tools is the same prompt on all of them.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jinja2 import Environment, TemplateError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.http.answer_schema import DEFINITIONS, Schema, check_schema
from services.http.errors import RequestError
from services.http.response_format import Content, as_schema
from services.http.tool_calls import OPEN, Reading

_ANY_ARGUMENTS: Schema = {"type": "object"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Function(_Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class _Tool(_Part):
    type: Literal["function"]
    function: _Function


class _Name(_Part):
    name: str


class _NamedTool(_Part):
    type: Literal["function"] = "function"
    function: _Name


class _Asked(BaseModel):
    tools: list[_Tool]
    tool_choice: Literal["none", "auto", "required"] | _NamedTool = "auto"
    parallel_tool_calls: bool = True


def take_tools(
    content: Content, templates: Mapping[str, str], *, formats: bool
) -> tuple[Content, Reading | None]:
    """The chat as an engine is asked it, and how its answer is read; None: as text.

    ``templates`` are the model's by name. ``formats``: the engine holds answers to a schema.

    Raises:
        RequestError: 400 that names what is wrong, or what this model or engine cannot do.
    """
    if not content.get("tools"):
        _refuse_choice(content.get("tool_choice"))
        return content, None
    asked = _read(content)
    rest = {name: value for name, value in content.items() if name not in _Asked.model_fields}
    source = templates.get("tool_use") or templates.get("default")
    if not writes_tools(source):
        if asked.tool_choice == "none":
            return rest, None
        raise RequestError(400, "tools: this model's chat template has none", param="tools")
    variables = rest.get("chat_template_kwargs") or {}
    if isinstance(variables, dict):
        written = [tool.model_dump(exclude_none=True) for tool in asked.tools]
        rest["chat_template_kwargs"] = variables | {"tools": written}
    if asked.tool_choice == "none":
        return rest, None
    if asked.tool_choice == "auto":
        _check_auto(asked, source, formats=formats)
        return rest, Reading(parallel=asked.parallel_tool_calls)
    if not formats:
        rest_works = "auto and none work" if OPEN in (source or "") else "none works"
        message = f"tool_choice: this engine cannot be held to a call; {rest_works}"
        raise RequestError(400, message, param="tool_choice", code="unsupported_value")
    if rest.get("response_format") is not None:
        message = "response_format: the answer to this tool_choice has a format of its own"
        raise RequestError(400, message, param="response_format")
    for number, tool in enumerate(asked.tools):
        path = f"tools.{number}.function.parameters"
        check_schema(tool.function.parameters or _ANY_ARGUMENTS, path, "tools")
    if asked.tool_choice == "required":
        schema = schema_of_calls(asked.tools, parallel=asked.parallel_tool_calls)
        return rest | {"response_format": as_schema("calls", schema)}, Reading(listed=True)
    name = asked.tool_choice.function.name
    schema = _chosen(asked.tools, name).parameters or _ANY_ARGUMENTS
    return rest | {"response_format": as_schema("arguments", schema)}, Reading(tool=name)


def _refuse_choice(choice: Any) -> None:
    """Where there are no tools, only a choice that demands no call changes nothing."""
    if choice not in (None, "none", "auto"):
        message = "tool_choice: there is nothing to call, give tools"
        raise RequestError(400, message, param="tool_choice")


def writes_tools(source: str | None) -> bool:
    """Whether a template speaks of tools; one that cannot be read does not."""
    try:
        tokens = list(Environment(autoescape=False).lex(source or ""))
    except TemplateError:
        return False
    return any(kind == "name" and value == "tools" for _line, kind, value in tokens)


def schema_of_calls(tools: list[_Tool], *, parallel: bool) -> Schema:
    """The schema of a list of calls; what the tools' own schemas define stands at its root."""
    definitions: Schema = {}
    calls = []
    for place, tool in enumerate(tools):
        arguments = tool.function.parameters or _ANY_ARGUMENTS
        own = arguments.get(DEFINITIONS, {})
        moved = {name: f"{place}_{name}" for name in own}
        definitions |= {moved[name]: _renamed(schema, moved) for name, schema in own.items()}
        bare = {name: value for name, value in arguments.items() if name != DEFINITIONS}
        calls.append(
            {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "enum": [tool.function.name]},
                    "arguments": _renamed(bare, moved),
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    listed: Schema = {"type": "array", "items": {"anyOf": calls}, "minItems": 1}
    if not parallel:
        listed["maxItems"] = 1
    return listed | ({DEFINITIONS: definitions} if definitions else {})


def _renamed(schema: Any, moved: Mapping[str, str]) -> Any:
    """A schema whose references name the definitions where they now are."""
    if isinstance(schema, list):
        return [_renamed(item, moved) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _renamed(value, moved) for name, value in schema.items()}
    found = re.fullmatch(rf"#/{re.escape(DEFINITIONS)}/(.+)", str(schema.get("$ref")))
    if found and found[1] in moved:
        changed["$ref"] = f"#/{DEFINITIONS}/{moved[found[1]]}"
    return changed


def _read(content: Content) -> _Asked:
    given = {name: content[name] for name in _Asked.model_fields if content.get(name) is not None}
    try:
        asked = _Asked.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = [str(part) for part in first["loc"] if not str(part).startswith(("literal", "_"))]
        message = f"{'.'.join(place)}: {first['msg']}"
        raise RequestError(400, message, param=place[0]) from None
    if isinstance(asked.tool_choice, _NamedTool):
        _chosen(asked.tools, asked.tool_choice.function.name)
    return asked


def _chosen(tools: list[_Tool], name: str) -> _Function:
    for tool in tools:
        if tool.function.name == name:
            return tool.function
    names = ", ".join(tool.function.name for tool in tools)
    message = f"tool_choice: {name!r} is not among the tools ({names})"
    raise RequestError(400, message, param="tool_choice")


def _check_auto(asked: _Asked, source: str | None, *, formats: bool) -> None:
    """A choice of the model's own is read from its text, as far as that can be."""
    if OPEN not in (source or ""):
        rest_works = "required, a tool's name and none work" if formats else "none works"
        message = (
            f"tool_choice: this model's template does not write calls as {OPEN}, and no other way "
            f"is read; {rest_works}"
        )
        raise RequestError(400, message, param="tool_choice", code="unsupported_value")
    for place, tool in enumerate(asked.tools):
        if tool.function.strict:
            remedy = "; required or the tool's name does" if formats else ""
            message = (
                f"tools.{place}.function.strict: with tool_choice auto nothing holds the model to "
                f"a schema{remedy}"
            )
            raise RequestError(400, message, param="tools", code="unsupported_value")
