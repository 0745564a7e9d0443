"""What a request's fields mean, whatever the engine: read once, before any engine is asked.

Clients send many fields that change nothing: null, false, ``"text"``, a penalty of 1.0, a choice of
tools without tools. They are taken off here, so that no engine can stumble over one. What an engine
does not do is refused by name. What it does is spelt in the one way that every engine reads alike.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from services.http.errors import RequestError
from services.http.messages import read_messages

Route = Literal["chat", "completions"]
Content = dict[str, Any]
Rule = Callable[[Any, Content], bool]

# Engines take seeds of 64 bits with a sign, and one of them takes -1 for "any".
SEEDS = 2**63
# Every token's text is searched for every stop string.
MAX_STOPS = 64
# The smallest nucleus holds the likeliest token alone; a nucleus of nothing, as OpenAI takes it,
# means the same, and engines refuse 0.
_SMALLEST_TOP_P = 1e-6


def _one_of(*values: object) -> Rule:
    """Equal to one of these, and of its kind: in Python 1 is True, in JSON it is not."""

    def rule(value: Any, _: Content) -> bool:
        kinds = (one for one in values if isinstance(one, bool) == isinstance(value, bool))
        return any(value == one for one in kinds)

    return rule


def _always(_value: Any, _content: Content) -> bool:
    return True


def _without(name: str) -> Rule:
    """Any value, where another field is not given."""
    return lambda _value, content: not content.get(name)


def _either(*rules: Rule) -> Rule:
    return lambda value, content: any(rule(value, content) for rule in rules)


def _no_call(name: str) -> Rule:
    """No call, or a free choice, where there is nothing to choose from."""
    return lambda value, content: value in ("none", "auto") and not content.get(name)


def _choices(value: Any, content: Content) -> bool:
    return value == (content.get("n") or 1) and not isinstance(value, bool)


def _special_tokens(value: Any, content: Content) -> bool:
    """A chat's template writes them itself, a bare prompt has them added."""
    return value is ("messages" not in content)


# When a field's value changes nothing. A field that is not named here never is without a meaning.
NEUTRAL: Mapping[str, Rule] = {
    # Who asks, and how the service keeps its books and caches: nothing of it reaches an answer.
    "user": _always,
    "metadata": _always,
    "safety_identifier": _always,
    "prompt_cache_key": _always,
    "prompt_cache_retention": _always,
    "prediction": _always,
    "cache_prompt": _always,
    "store": _one_of(False),
    "service_tier": _one_of("auto", "default"),
    "priority": _one_of(0),
    # Shapes of answers.
    "response_format": _one_of({"type": "text"}),
    "modalities": _one_of(["text"]),
    "verbosity": _one_of("medium"),
    "suffix": _one_of(""),
    "echo": _one_of(False),
    "logprobs": _one_of(False),
    "top_logprobs": _one_of(0),
    "stream": _one_of(False),
    "stream_options": _without("stream"),
    "detokenize": _one_of(True),
    "skip_special_tokens": _one_of(True),
    "spaces_between_special_tokens": _one_of(True),
    "include_stop_str_in_output": _one_of(False),
    "include_reasoning": _one_of(True),
    "return_token_ids": _one_of(False),
    "return_tokens_as_token_ids": _one_of(False),
    # Tools.
    "tools": _one_of([]),
    "tool_choice": _no_call("tools"),
    "parallel_tool_calls": _either(_one_of(True), _without("tools")),
    "functions": _one_of([]),
    "function_call": _no_call("functions"),
    # How the next token is chosen.
    "top_k": _one_of(-1, 0),
    "min_p": _one_of(0),
    "typical_p": _one_of(1),
    "repetition_penalty": _one_of(1),
    "repeat_penalty": _one_of(1),
    "presence_penalty": _one_of(0),
    "frequency_penalty": _one_of(0),
    "length_penalty": _one_of(1),
    "logit_bias": _one_of({}),
    "mirostat": _one_of(0),
    "best_of": _choices,
    "use_beam_search": _one_of(False),
    "early_stopping": _one_of(False),
    "bad_words": _one_of([]),
    "stop": _one_of([]),
    "stop_token_ids": _one_of([]),
    "min_tokens": _one_of(0),
    "ignore_eos": _one_of(False),
    # How a chat becomes a prompt.
    "add_generation_prompt": _one_of(True),
    "add_special_tokens": _special_tokens,
    "continue_final_message": _one_of(False),
    "chat_template_kwargs": _one_of({}),
    "documents": _one_of([]),
}


def read_fields(content: Content, route: Route, known: frozenset[str] | None) -> Content:
    """The body as every engine is asked: what changes nothing is taken off, the rest spelt alike.

    ``known`` are the fields that the engine does on this route; None: it judges that itself. What
    was read once is read again without a change.

    Raises:
        RequestError: 400 that names the field which no engine, or not this one, does.
    """
    given = {name: value for name, value in content.items() if value is not None}
    kept = {
        name: _SPELLINGS[name](value, route) if name in _SPELLINGS else value
        for name, value in given.items()
        if not (name in NEUTRAL and NEUTRAL[name](value, given))
    }
    kept = _with_effort({name: value for name, value in kept.items() if value is not None})
    for name in kept:
        if known is not None and name not in known:
            raise _unsupported(name)
    return kept


def _unsupported(path: str, why: str = "this field is not supported") -> RequestError:
    return RequestError(
        400, f"{path}: {why}", param=path.partition(".")[0], code="unsupported_parameter"
    )


def _seed(value: Any, _: Route) -> Any:
    return value % SEEDS if _is_int(value) else value


def _top_p(value: Any, _: Route) -> Any:
    return _SMALLEST_TOP_P if value == 0 and not isinstance(value, bool) else value


def _stop(value: Any, _: Route) -> Any:
    stops = value if isinstance(value, list) else [value]
    if "" in stops:
        raise RequestError(400, "stop: an empty string would stop every answer", param="stop")
    if len(stops) > MAX_STOPS:
        message = f"stop: {len(stops)} strings are given, at most {MAX_STOPS} are looked for"
        raise RequestError(400, message, param="stop")
    return value


def _prompt(value: Any, _: Route) -> Any:
    """An empty text is a prompt of its first token alone; vLLM takes that in a list only."""
    return [""] if value == "" else value


def _limit(value: Any, route: Route) -> Any:
    """-1 is no limit, which a chat has none of anyway."""
    return None if value == -1 and route == "chat" else value


def _logprobs(value: Any, route: Route) -> Any:
    if value is True and route == "completions":
        raise RequestError(400, "logprobs: expected a number of tokens", param="logprobs")
    return value


def _stream_options(value: Any, _: Route) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {name: option for name, option in value.items() if option not in (None, False)}
    for name in kept.keys() - {"include_usage", "continuous_usage_stats"}:
        raise _unsupported(f"stream_options.{name}")
    # Without the usage at the end there is none on the way.
    return kept if "include_usage" in kept else None


def _with_effort(content: Content) -> Content:
    """The effort as the template's variables, by the names that templates have for it.

    A template that knows neither writes the same prompt as without.
    """
    if "reasoning_effort" not in content:
        return content
    rest = dict(content)
    effort, own = rest.pop("reasoning_effort"), rest.get("chat_template_kwargs") or {}
    if not isinstance(effort, str) or not isinstance(own, dict):
        raise RequestError(
            400, "reasoning_effort: expected a word such as low", param="reasoning_effort"
        )
    variables = {"reasoning_effort": effort, "enable_thinking": effort != "none"}
    return rest | {"chat_template_kwargs": variables | own}


_SPELLINGS: Mapping[str, Callable[[Any, Route], Any]] = {
    "seed": _seed,
    "stop": _stop,
    "prompt": _prompt,
    "top_p": _top_p,
    "max_tokens": _limit,
    "max_completion_tokens": _limit,
    "logprobs": _logprobs,
    "stream_options": _stream_options,
    "messages": lambda value, _: read_messages(value),
}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
