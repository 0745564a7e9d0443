"""``python -m …in_clients.library_clients CLIENT BASE MODEL``: what programs ask through a library.

Prints one line of JSON per request: its name, and what it ended with (``ok``, ``refused`` where a
400 named the field that this engine cannot do, or an error's words).
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module

import openai

# Fields that only an engine with grammars can do.
FORMATS = frozenset({"response_format", "tool_choice"})
# LiteLLM and LangChain raise kinds of OpenAI's own errors; the rest is an answer of another shape.
WRONG = (openai.OpenAIError, ValueError, TypeError, LookupError, AttributeError)


def ended(ask: Callable[[], object]) -> str:
    """What a request ended with."""
    try:
        ask()
    except openai.BadRequestError as error:
        message = str(error)
        is_named = any(f"{field}: " in message for field in FORMATS)
        return "refused" if is_named else message
    except WRONG as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


if __name__ == "__main__":
    client, base, model = sys.argv[1:]
    # Each library takes seconds to import.
    cases = import_module(f"tests.benches.clients.in_clients.{client}_cases")
    for name, ask in getattr(cases, f"{client}_cases")(base, model):
        print(json.dumps({"case": name, "ended": ended(ask)}), flush=True)
