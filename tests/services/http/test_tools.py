"""Tools become what the template writes and what the answer must be, alike for every engine."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from services.http.errors import RequestError
from services.http.tool_calls import Reading
from services.http.tools import take_tools, writes_tools

HERMES = {"default": "{% if tools %}{{ tools | tojson }} <tool_call>{% endif %}{{ messages }}"}
LLAMA = {"default": "{% if tools is not none %}{{ tools | tojson }}{% endif %}"}
PLAIN = {"default": "{% for message in messages %}{{ message.content }} tools{% endfor %}"}
CITY = {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {**CITY, "$defs": {"City": {"type": "string", "minLength": 2}}},
    },
}
TIME = {"type": "function", "function": {"name": "time", "description": "tells the time"}}


def ask(templates: dict[str, str] = HERMES, formats: bool = True, **fields: Any) -> Any:
    content = {"model": "m", "tools": [WEATHER, TIME], **fields}
    return take_tools(content, templates, formats=formats)


def test_a_template_that_speaks_of_tools_is_told_from_one_that_only_says_the_word() -> None:
    assert writes_tools(HERMES["default"])
    assert writes_tools("{% generation %}{{ tools }}{% endgeneration %}")
    assert not writes_tools(PLAIN["default"])
    assert not writes_tools(None)
    assert not writes_tools("{{ 'tools")


def test_a_request_without_tools_is_left_alone() -> None:
    for content in ({"model": "m"}, {"model": "m", "tools": [], "tool_choice": "auto"}):
        assert take_tools(content, PLAIN, formats=False) == (content, None)


def test_the_template_gets_the_tools_as_they_came() -> None:
    content, reading = ask(chat_template_kwargs={"x": 1})
    assert content == {"model": "m", "chat_template_kwargs": {"x": 1, "tools": [WEATHER, TIME]}}
    assert reading == Reading()
    content, reading = ask(tool_choice="none")
    assert content["chat_template_kwargs"]["tools"] == [WEATHER, TIME]
    assert reading is None


def test_a_demanded_call_is_a_schema_that_its_definitions_stand_in() -> None:
    content, reading = ask(tool_choice="required", parallel_tool_calls=False)
    assert reading == Reading(listed=True)
    schema = content["response_format"]["json_schema"]["schema"]
    Draft202012Validator.check_schema(schema)
    holds = Draft202012Validator(schema).is_valid
    assert holds([{"name": "weather", "arguments": {"city": "Oslo"}}])
    assert holds([{"name": "time", "arguments": {}}])
    for wrong in (
        [],
        [{"name": "weather", "arguments": {"city": "O"}}],
        [{"name": "rain", "arguments": {}}],
        [{"name": "time", "arguments": {}}] * 2,
    ):
        assert not holds(wrong)


def test_a_tool_that_is_named_is_the_schema_of_its_arguments() -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    content, reading = ask(tool_choice=choice)
    assert reading == Reading(tool="weather")
    schema = content["response_format"]["json_schema"]["schema"]
    assert schema == WEATHER["function"]["parameters"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"templates": PLAIN}, "tools", "template has none"),
        ({"templates": {}}, "tools", "template has none"),
        ({"templates": LLAMA}, "tool_choice", "<tool_call>"),
        ({"formats": False, "tool_choice": "required"}, "tool_choice", "this engine"),
        ({"tool_choice": "any"}, "tool_choice", "tool_choice"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice", "nothing to call"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "rain"}}},
            "tool_choice",
            "weather, time",
        ),
        ({"tools": [{"type": "function"}]}, "tools", "tools.0.function"),
        ({"tools": [{**TIME, "type": "code"}]}, "tools", "tools.0.type"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools",
            "tools.0.function.name",
        ),
        (
            {
                "tools": [
                    {"type": "function", "function": {"name": "a", "parameters": {"type": 1}}}
                ],
                "tool_choice": "required",
            },
            "tools",
            "tools.0.function.parameters.type",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]},
            "tools",
            "strict",
        ),
        (
            {"tool_choice": "required", "response_format": {"type": "json_object"}},
            "response_format",
            "format of its own",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    fields: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(RequestError) as caught:
        ask(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert words in caught.value.message


def test_where_no_call_is_wanted_a_template_needs_no_tools() -> None:
    assert ask(PLAIN, tool_choice="none") == ({"model": "m"}, None)
    content, reading = ask(LLAMA, tool_choice="required")
    assert reading == Reading(listed=True)
    assert "response_format" in content


@pytest.mark.parametrize(
    ("templates", "choice", "formats", "remedy"),
    [
        (HERMES, "required", False, "auto and none work"),
        (LLAMA, "required", False, "none works"),
        (LLAMA, "auto", False, "none works"),
        (LLAMA, "auto", True, "required, a tool's name and none work"),
    ],
)
def test_a_refused_choice_is_told_with_those_that_work_there(
    templates: dict[str, str], choice: str, formats: bool, remedy: str
) -> None:
    with pytest.raises(RequestError) as caught:
        ask(templates, formats=formats, tool_choice=choice)
    assert caught.value.message.endswith(f"; {remedy}")
