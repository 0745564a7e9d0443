"""Whether an answer is an error as OpenAI writes them; standard library only.

Schemathesis's environment imports this too.
"""

import json


def is_openai_error(body: bytes) -> bool:
    """Whether a body (or an event's data) is OpenAI's error JSON with a message and a type."""
    try:
        error = json.loads(body)["error"]
        return all(isinstance(error[key], str) for key in ("message", "type"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
