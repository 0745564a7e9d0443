"""Valid request bodies, spoilt: structure-aware mutations by a seed. Pure.

A mutation changes one to three things of a body that every engine answers: a field's value to one
of another type or beyond every range, a field's presence, the structure within, or the bytes of
the JSON text itself. Bodies stay cheap where they are accepted: two tokens are asked for.
"""

import json
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tests.benches.fuzz.edge_values import COMMON, JUNK
from tests.benches.fuzz.extension_values import EXTENSIONS

Body = dict[str, Any]
TARGETED = {**COMMON, **EXTENSIONS}
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"


def valid_bodies(variant: str, route: str) -> list[Body]:
    """Bodies that every engine answers with 200."""
    base: Body = {"model": variant, "max_tokens": 2}
    if route == CHAT:
        asked = {"messages": [{"role": "user", "content": "Where was Mavia born?"}]}
        richer = {"messages": [{"role": "system", "content": "a"}, *asked["messages"]]}
        return [{**base, **asked}, {**base, **richer, "logprobs": True, "top_logprobs": 2}]
    return [
        {**base, "prompt": "Where was"},
        {**base, "prompt": [5, 6, 7], "logprobs": 2, "temperature": 0},
        {**base, "prompt": ["a", "b"], "seed": 1, "stop": ["."]},
    ]


def _one_of(values: tuple[Any, ...], rng: random.Random) -> Any:
    """One of the values, as a copy: the next change may spoil its inside."""
    return json.loads(json.dumps(rng.choice(values)))


def _junk(body: Body, rng: random.Random) -> str:
    name = rng.choice(list(body))
    body[name] = _one_of(JUNK, rng)
    return f"junk in {name}"


def _targeted(body: Body, rng: random.Random) -> str:
    # What only one engine knows the others refuse at once, so it comes up less often.
    name = rng.choice(list(COMMON if rng.random() < 0.65 else EXTENSIONS))
    body[name] = _one_of(TARGETED[name], rng)
    return f"edge of {name}"


def _question(body: Body, rng: random.Random) -> str:
    name = "prompt" if "prompt" in body else "messages"
    body[name] = _one_of(TARGETED[name], rng)
    return f"edge of {name}"


def _removed(body: Body, rng: random.Random) -> str:
    name = rng.choice([key for key in body if key != "max_tokens"] or list(body))
    del body[name]
    return f"no {name}"


def _misspelt(body: Body, rng: random.Random) -> str:
    name = rng.choice(list(body))
    body[rng.choice([name.upper(), f"{name} ", f"{name}\x00", f"_{name}", ""])] = body[name]
    return f"{name} misspelt"


def _inside(body: Body, rng: random.Random) -> str:
    """Spoil something within a list or an object."""
    name = rng.choice(list(body))
    place = body[name]
    while isinstance(place, list | dict) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        if not isinstance(place[key], list | dict) or rng.random() < 0.3:
            place[key] = _one_of(JUNK, rng)
            return f"junk within {name}"
        place = place[key]
    body[name] = [place]
    return f"{name} in a list"


CHANGES: tuple[tuple[Callable[[Body, random.Random], str], int], ...] = (
    (_targeted, 10),
    (_junk, 5),
    (_question, 4),
    (_inside, 3),
    (_removed, 1),
    (_misspelt, 1),
)


def _twice(text: bytes, rng: random.Random) -> bytes:
    value = json.dumps(rng.choice(JUNK[:20])).encode()
    return text[:-1] + b', "max_tokens": ' + value + b', "model": "other"}'


BYTE_CHANGES: Mapping[str, Callable[[bytes, random.Random], bytes]] = MappingProxyType(
    {
        "invalid UTF-8": lambda text, rng: _at(text, rng, b"\xff\xfe\xc0\x80"),
        "cut off": lambda text, rng: text[: rng.randrange(len(text))],
        "a byte flipped": lambda text, rng: _flipped(text, rng),
        "duplicate keys": _twice,
        "byte order mark": lambda text, rng: b"\xef\xbb\xbf" + text,
        "UTF-16": lambda text, rng: text.decode().encode("utf-16"),
        "UTF-32": lambda text, rng: text.decode().encode("utf-32"),
        "text after the end": lambda text, rng: text + b" {}",
        "two bodies": lambda text, rng: text + text,
        "a comment": lambda text, rng: text[:1] + b"/* a */" + text[1:],
        "single quotes": lambda text, rng: text.replace(b'"', b"'"),
        "a trailing comma": lambda text, rng: text[:-1] + b",}",
        "in a list": lambda text, rng: b"[" + text + b"]",
        "as a string": lambda text, rng: json.dumps(text.decode()).encode(),
        "deep lists": lambda text, rng: b"[" * 100_000 + b"]" * 100_000,
        "deep objects": lambda text, rng: b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "a deep field": lambda text, rng: (
            text[:-1] + b', "user": ' + b"[" * 3000 + b"]" * 3000 + b"}"
        ),
        "many digits": lambda text, rng: text[:-1] + b', "seed": ' + b"9" * 6000 + b"}",
        "a huge exponent": lambda text, rng: text[:-1] + b', "temperature": 1e999999}',
        "control characters": lambda text, rng: _at(text, rng, b"\x00\x01\x1f"),
        "nothing": lambda text, rng: b"",
        "null": lambda text, rng: b"null",
        "many fields": lambda text, rng: (
            text[:-1] + b"".join(b', "f%d": %d' % (i, i) for i in range(20_000)) + b"}"
        ),
    }
)


def _at(text: bytes, rng: random.Random, inserted: bytes) -> bytes:
    place = rng.randrange(len(text))
    return text[:place] + inserted + text[place:]


def _flipped(text: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(text))
    return text[:place] + bytes([text[place] ^ (1 << rng.randrange(8))]) + text[place + 1 :]


def mutate(body: Body, rng: random.Random) -> tuple[str, bytes]:
    """A spoilt body as bytes, and the names of what was done to it."""
    changed = json.loads(json.dumps(body))
    names = []
    changes, weights = zip(*CHANGES, strict=True)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        (change,) = rng.choices(changes, weights)
        if changed:
            names.append(change(changed, rng))
    text = json.dumps(changed).encode()
    if rng.random() < 0.15:
        name = rng.choice(list(BYTE_CHANGES))
        names.append(name)
        text = BYTE_CHANGES[name](text, rng)
    return ", ".join(names), text
