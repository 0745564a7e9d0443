"""What the style sheet says about a drawing in the light mode, for renderers without CSS.

Knows the selectors that drawings use: ``.a``, ``.a.b``, ``svg .a`` and ``svg text``; later rules
win, as the sheet has no two of different weight on one property of a drawing.
"""

import re
from dataclasses import dataclass
from functools import cache

from eval.drawing.shell import look


@dataclass(frozen=True)
class _Rule:
    classes: frozenset[str]
    text_only: bool
    declarations: tuple[tuple[str, str], ...]


def style_of(element: str, classes: frozenset[str]) -> dict[str, str]:
    """The properties of an element of that name with these classes, variables filled in."""
    found: dict[str, str] = {}
    for rule in _rules():
        if rule.classes <= classes and (element == "text" or not rule.text_only):
            found.update(rule.declarations)
    own = palette() | {k: v for k, v in found.items() if k.startswith("--")}
    return {key: _filled(value, own) for key, value in found.items() if not key.startswith("--")}


@cache
def palette() -> dict[str, str]:
    """The light colours, by their variables' names."""
    root = re.search(r":root \{(.*?)\}", str(look()), re.DOTALL)
    assert root is not None, "the sheet begins with its colours"
    return dict(_declarations(root[1]))


@cache
def _rules() -> tuple[_Rule, ...]:
    sheet = _without_media(str(look()))
    rules = []
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet):
        for selector in selectors.split(","):
            words = selector.strip().removeprefix("svg ").strip()
            if words == "text" or re.fullmatch(r"(\.[\w-]+)+", words):
                classes = frozenset(words.split(".")[1:])
                rules.append(_Rule(classes, words == "text", tuple(_declarations(body))))
    return tuple(rules)


def _declarations(body: str) -> list[tuple[str, str]]:
    pairs = (part.partition(":") for part in body.split(";") if ":" in part)
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _without_media(sheet: str) -> str:
    kept, depth, inside = [], 0, False
    for part in re.split(r"(@media[^{]*|[{}])", sheet):
        if part.startswith("@media"):
            inside, depth = True, 0
        elif inside:
            depth += (part == "{") - (part == "}")
            inside = depth > 0 or part != "}"
        else:
            kept.append(part)
    return "".join(kept)


def _filled(value: str, variables: dict[str, str]) -> str:
    for _ in range(2):
        value = re.sub(
            r"var\(--([\w-]+)\)",
            lambda match: variables.get(f"--{match[1]}", "none"),
            value,
        )
    return value
