"""A plan's text as YAML, in which no key may stand twice."""

from collections.abc import Hashable
from typing import Any

import yaml


class _Once(yaml.SafeLoader):
    """YAML says that keys are unique; the library keeps the last of two, without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                told = f"the key {key.value!r} stands twice; keep one"
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_plan(text: str) -> Any:
    """What the text holds, of YAML's plain types.

    Raises:
        yaml.YAMLError: no YAML, or a key that stands twice, with its line.
    """
    return yaml.load(text, _Once)
