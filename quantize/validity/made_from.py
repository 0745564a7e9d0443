"""What a result was made from, part by part, and the one key that says whether it is still valid.

A stage writes its parts and their key into its result. The same key means that there is nothing to
do; another one, that the parts tell why it is done again.
"""

import hashlib
import json
from collections.abc import Mapping

_NOT_TOLD = "it does not say what it was made from"


def parts_of(**parts: object) -> dict[str, str]:
    """Every part as a text: as it is where it is one (a version), else the hash of its JSON."""
    return {
        name: part if isinstance(part, str) else _sha256(json.dumps(part, sort_keys=True))
        for name, part in parts.items()
    }


def key_of(parts: Mapping[str, str]) -> str:
    """The key: the hash of all parts."""
    return _sha256(json.dumps(dict(parts), sort_keys=True))


def what_changed(stored: Mapping[str, str], today: Mapping[str, str]) -> str:
    """Why a result of other parts is made again, as ``code and tokenizer changed``."""
    changed = sorted(
        name.replace("_", " ")
        for name in stored.keys() | today.keys()
        if stored.get(name) != today.get(name)
    )
    if not stored or not changed:
        return _NOT_TOLD
    return f"{', '.join(changed[:-1])}{' and ' if changed[1:] else ''}{changed[-1]} changed"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
