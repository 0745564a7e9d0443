"""Bodies as clients send them, against what each engine's reader makes of them."""

from typing import Any

import pytest

from services.engines.table import ENGINES
from services.http.errors import RequestError
from services.http.request_fields import MAX_STOPS, SEEDS, Route, read_fields

BASE: dict[Route, dict[str, Any]] = {
    "completions": {"model": "m", "prompt": "Hello"},
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]},
}
CHECKED = [engine for engine in ENGINES.values() if engine.fields]
USAGE = {"include_usage": True}
FUNCTION = {"type": "function", "function": {"name": "f"}}

# What changes nothing on either route: every engine is asked as if it were not there.
NOTHING: list[dict[str, Any]] = [
    *({name: None} for name in ("metadata", "store", "stop", "seed", "logprobs", "no_such_field")),
    {"user": "u-1", "metadata": {"a": "b"}, "safety_identifier": "x", "prompt_cache_key": "x"},
    {"store": False, "service_tier": "auto", "modalities": ["text"], "verbosity": "medium"},
    {"response_format": {"type": "text"}},
    {"tools": [], "tool_choice": "auto", "parallel_tool_calls": False},
    {"tool_choice": "none"},
    {"functions": [], "function_call": "none"},
    {"stream_options": USAGE, "stream": False},
    {"stream_options": None, "stream": None},
    {"logprobs": False, "top_logprobs": 0, "echo": False},
    {"repetition_penalty": 1.0, "presence_penalty": 0, "frequency_penalty": 0.0},
    {"repeat_penalty": 1.0, "typical_p": 1.0, "mirostat": 0, "length_penalty": 1.0},
    {"top_k": -1, "min_p": 0.0},
    {"top_k": 0, "logit_bias": {}, "stop": [], "stop_token_ids": [], "bad_words": []},
    {"min_tokens": 0, "ignore_eos": False, "best_of": 1, "use_beam_search": False},
    {"skip_special_tokens": True, "spaces_between_special_tokens": True},
    {"n": 2, "best_of": 2},
]
# What means something: passed on by every engine that was looked at, in this spelling.
DONE: list[tuple[Route, dict[str, Any], dict[str, Any]]] = [
    ("completions", {"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
    ("completions", {"min_p": 0.1, "top_k": 5}, {"min_p": 0.1, "top_k": 5}),
    ("completions", {"seed": -1}, {"seed": SEEDS - 1}),
    ("completions", {"seed": 2**64 + 5}, {"seed": 5}),
    ("completions", {"top_p": 0}, {"top_p": 1e-6}),
    ("completions", {"max_tokens": -1}, {"max_tokens": -1}),
    ("completions", {"logprobs": 0}, {"logprobs": 0}),
    ("completions", {"prompt": ""}, {"prompt": [""]}),
    ("completions", {"stop": ["a"] * MAX_STOPS}, {"stop": ["a"] * MAX_STOPS}),
    ("completions", {"add_special_tokens": False}, {"add_special_tokens": False}),
    ("completions", {"temperature": 0.0}, {"temperature": 0.0}),
    ("chat", {"max_tokens": -1, "max_completion_tokens": -1}, {}),
    ("chat", {"max_completion_tokens": 8}, {"max_completion_tokens": 8}),
    ("chat", {"logprobs": True, "top_logprobs": 5}, {"logprobs": True, "top_logprobs": 5}),
    ("chat", {"add_special_tokens": False, "add_generation_prompt": True}, {}),
    (
        "chat",
        {"continue_final_message": True, "add_generation_prompt": False},
        {"continue_final_message": True, "add_generation_prompt": False},
    ),
    (
        "chat",
        {"reasoning_effort": "none", "chat_template_kwargs": {"a": 1}},
        {
            "chat_template_kwargs": {
                "reasoning_effort": "none",
                "enable_thinking": False,
                "a": 1,
            }
        },
    ),
    *(
        (
            route,
            {"stream": True, "stream_options": {**given, "include_obfuscation": False}},
            {"stream": True, **kept},
        )
        for route in BASE
        for given, kept in (
            ({"include_usage": None}, {}),
            ({"continuous_usage_stats": True}, {}),
            (USAGE, {"stream_options": USAGE}),
            (
                {**USAGE, "continuous_usage_stats": True},
                {"stream_options": {**USAGE, "continuous_usage_stats": True}},
            ),
        )
    ),
]
REFUSED: list[tuple[Route, dict[str, Any], str]] = [
    ("completions", {"no_such_field": 0}, "no_such_field"),
    ("completions", {"messages": []}, "messages"),
    ("completions", {"best_of": 3, "n": 2}, "best_of"),
    ("completions", {"logprobs": True}, "logprobs"),
    ("completions", {"stop": ""}, "stop"),
    ("chat", {"stop": ["a", ""]}, "stop"),
    ("chat", {"stop": ["a"] * (MAX_STOPS + 1)}, "stop"),
    ("completions", {"repetition_penalty": True, "typical_p": 0.9}, "typical_p"),
    ("chat", {"prompt": "a"}, "prompt"),
    ("chat", {"store": True}, "store"),
    ("chat", {"service_tier": "flex"}, "service_tier"),
    ("chat", {"modalities": ["text", "audio"]}, "modalities"),
    ("chat", {"functions": [FUNCTION]}, "functions"),
    ("chat", {"reasoning_effort": 3}, "reasoning_effort"),
    ("chat", {"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options"),
]


@pytest.mark.parametrize("engine", CHECKED, ids=lambda engine: engine.name)
@pytest.mark.parametrize("route", BASE)
@pytest.mark.parametrize("extra", NOTHING, ids=str)
def test_what_changes_nothing_is_taken_by_every_engine_and_asked_of_none(
    engine: Any, route: Route, extra: dict[str, Any]
) -> None:
    kept = {name: value for name, value in extra.items() if name == "n"}
    assert read_fields(BASE[route] | extra, route, engine.fields[route]) == BASE[route] | kept


@pytest.mark.parametrize("engine", CHECKED, ids=lambda engine: engine.name)
@pytest.mark.parametrize(("route", "given", "asked"), DONE, ids=str)
def test_what_means_something_is_asked_of_every_engine_in_one_spelling(
    engine: Any, route: Route, given: dict[str, Any], asked: dict[str, Any]
) -> None:
    read = read_fields(BASE[route] | given, route, engine.fields[route])
    assert read == BASE[route] | asked
    assert read_fields(read, route, engine.fields[route]) == read


@pytest.mark.parametrize("engine", CHECKED, ids=lambda engine: engine.name)
@pytest.mark.parametrize(("route", "given", "named"), REFUSED, ids=str)
def test_what_no_engine_does_is_refused_by_name(
    engine: Any, route: Route, given: dict[str, Any], named: str
) -> None:
    with pytest.raises(RequestError, match=named) as refusal:
        read_fields(BASE[route] | given, route, engine.fields[route])
    assert (refusal.value.status, refusal.value.param) == (400, named)


def test_what_one_engine_does_is_refused_by_name_where_another_is_asked() -> None:
    body = BASE["completions"] | {"structured_outputs": {"choice": ["a"]}}
    vllm, own = (ENGINES[name].fields for name in ("vllm", "llamacpp"))
    assert vllm is not None
    assert own is not None
    assert read_fields(body, "completions", vllm["completions"]) == body
    with pytest.raises(RequestError, match="structured_outputs") as refusal:
        read_fields(body, "completions", own["completions"])
    assert refusal.value.code == "unsupported_parameter"


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_choice_of_tools_is_told_wherever_there_are_tools(choice: str) -> None:
    body = BASE["chat"] | {"tools": [FUNCTION], "tool_choice": choice}
    assert read_fields(body, "chat", None) == body


def test_a_call_is_not_left_out_because_there_is_no_tool_for_it() -> None:
    body = BASE["chat"] | {"tools": [], "tool_choice": "required"}
    assert read_fields(body, "chat", None) == BASE["chat"] | {"tool_choice": "required"}


def test_an_engine_without_a_list_of_fields_is_asked_what_is_left() -> None:
    body = BASE["chat"] | {"no_such_field": 0, "metadata": None}
    assert read_fields(body, "chat", None) == BASE["chat"] | {"no_such_field": 0}
