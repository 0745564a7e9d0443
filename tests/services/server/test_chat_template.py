"""Chats become prompts as transformers writes them, and a template's failure costs chats alone."""

from datetime import datetime
from typing import Any

import pytest

from quantize.artifact.conversation import Conversation
from services.http.errors import RequestError
from services.server.chat_template import ChatTemplate
from services.server.protocol import ChatBody

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}
PLAIN = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
ASKED = {"role": "user", "content": "it's <b>5</b> & more"}


def render(source: str | dict[str, str], *messages: dict[str, Any], **fields: Any) -> str:
    templates = {"default": source} if isinstance(source, str) else source
    body = ChatBody.model_validate({"model": "m", "messages": list(messages) or [ASKED], **fields})
    return ChatTemplate(Conversation(templates=templates, special_tokens=SPECIALS)).render(body)


@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        (PLAIN, "<s>[user] it's <b>5</b> & more\n[assistant]"),
        ("{{ messages[0].content | tojson }}", '"it\'s <b>5</b> & more"'),
        ("{{ {'ü': [1, 2]} | tojson(indent=1) }}", '{\n "ü": [\n  1,\n  2\n ]\n}'),
        ("{% generation %}{{ messages[0].role }}{% endgeneration %}", "user"),
        ("{% if tools is not none %}{{ tools | length }}{% else %}none{% endif %}", "none"),
        ("{% for x in [1, 2, 3] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "1"),
        ("{{ strftime_now('%Y') }}", str(datetime.now().astimezone().year)),
        ({"default": "plain", "tool_use": "tools"}, "plain"),
    ],
)
def test_a_prompt_is_what_transformers_writes(source: str | dict[str, str], prompt: str) -> None:
    assert render(source) == prompt


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('Only one turn, please') }}", "Only one turn, please"),
        ("{% if %}", "Expected an expression"),
        ("{% nonsense %}", "unknown tag 'nonsense'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages[0].content + 3 }}", "can only concatenate str"),
        ("{{ nothing.of.this }}", "'nothing' is undefined"),
        ("{{ ''.__class__.mro() }}", "unsafe"),
        ({"rag": "x", "tool_use": "y"}, "no default chat template (only rag, tool_use)"),
        ({}, "no chat template"),
    ],
)
def test_a_template_that_fails_is_a_refusal_in_its_own_words(
    source: str | dict[str, str], words: str
) -> None:
    with pytest.raises(RequestError) as refusal:
        render(source)
    assert (refusal.value.status, refusal.value.param) == (400, "messages")
    assert words in refusal.value.message


def test_a_template_that_reads_parts_alone_is_given_parts() -> None:
    parts = "{% for m in messages %}{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endfor %}"
    either = (
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}"
        "{% else %}parts{% endif %}{% endfor %}"
    )
    assert render(parts, {"role": "user", "content": "hi"}) == "<hi>"
    assert render(either, {"role": "user", "content": "hi"}) == "hi"


def test_a_developer_is_the_system_where_the_template_knows_none() -> None:
    said = {"role": "developer", "content": "a"}
    assert render(PLAIN, said, add_generation_prompt=False) == "<s>[system] a\n"
    assert render("{% if messages[0].role == 'developer' %}dev{% endif %}", said) == "dev"


def test_all_that_systems_and_developers_say_comes_first_and_at_once() -> None:
    talk = [
        {"role": role, "content": text}
        for role, text in (("system", "a"), ("user", "b"), ("developer", "c"), ("user", "b"))
    ]
    written = render(PLAIN, *talk, add_generation_prompt=False)
    assert written == "<s>[system] a\n\nc\n[user] b\n[user] b\n"
    untouched = render(PLAIN, *talk[1::-1], add_generation_prompt=False)
    assert untouched == "<s>[user] b\n[system] a\n"


def test_an_answer_is_gone_on_with_where_that_is_asked_for() -> None:
    talk = ({"role": "user", "content": "Say abc"}, {"role": "assistant", "content": "abc"})
    continued = render(PLAIN, *talk, continue_final_message=True, add_generation_prompt=False)
    assert continued == "<s>[user] Say abc\n[assistant] abc"
    with pytest.raises(RequestError, match="continue_final_message"):
        render(PLAIN, *talk, continue_final_message=True)


@pytest.mark.parametrize(
    ("arguments", "read"), [('{"a": 1}', "1"), ("no JSON", ""), ("[1]", ""), ({"a": 2}, "2")]
)
def test_the_arguments_of_a_call_are_an_object_to_the_template(arguments: Any, read: str) -> None:
    function = {"name": "f", "arguments": arguments}
    call = {"id": "c", "type": "function", "function": function}
    said = {"role": "assistant", "content": "", "tool_calls": [call]}
    assert render("{{ messages[0].tool_calls[0].function.arguments.a }}", said) == read


def test_variables_of_the_request_reach_the_template() -> None:
    assert render("{{ enable_thinking }}", chat_template_kwargs={"enable_thinking": False}) == (
        "False"
    )
