"""What runs inside vLLM's server: a key on every route, and a start that no chat template prevents.

Imported by vLLM in its environment (``--middleware``) before it sets up its routes, so it needs
nothing but the standard library and what vLLM brings.
"""

import hmac
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any


async def require_key(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    """Refuse every request without the child's key, but for the health probe.

    vLLM's own ``--api-key`` guards only ``/v1``. What a route raises is answered here: further out
    the connection ends with the answer (``starlette/middleware/errors.py`` raises it again), and
    the next request on it is lost. A template with a syntax error raises so at every chat.
    """
    from starlette.responses import JSONResponse

    expected = f"Bearer {os.environ['VLLM_API_KEY']}".encode()
    given = request.headers.get("authorization", "").encode()
    if request.url.path != "/health" and not hmac.compare_digest(given, expected):
        return JSONResponse({"error": {"message": "unauthorized", "code": 401}}, status_code=401)
    try:
        return await call_next(request)
    except Exception as error:  # noqa: BLE001 - a template is anybody's program
        return await _answer(request, error)


async def _answer(request: Any, error: Exception) -> Any:
    """What vLLM says of an error itself."""
    try:
        from vllm.entrypoints.serve.exception_handling.handlers import exception
    except ImportError:
        raise error from None
    return await exception.exception_handler(request, error)


def spared(probe: Callable[..., Any], instead: Any) -> Callable[..., Any]:
    """A probe of vLLM's that answers ``instead`` where it fails."""

    @wraps(probe)
    def probing(*given: Any, **named: Any) -> Any:
        try:
            return probe(*given, **named)
        except Exception:  # noqa: BLE001 - a template is anybody's program
            return instead

    return probing


def spare_templates() -> None:
    """Let vLLM start whatever its probes of the model's chat template raise.

    It renders the template for two routes that nobody reaches through us, and expects errors of
    one kind each: a ValueError (``entrypoints/generate/structured_decisions/api_router.py``) and
    jinja's own (``entrypoints/anthropic/serving.py``). Any other ended the whole server.
    """
    with suppress(ImportError):
        from vllm.entrypoints.generate.structured_decisions import api_router

        setup = "init_structured_decisions_state"
        setattr(api_router, setup, spared(getattr(api_router, setup), None))
    with suppress(ImportError, AttributeError):
        from vllm.entrypoints.anthropic.serving import AnthropicServingMessages

        probe = "_detect_merge_inline_system"
        forgiving = spared(getattr(AnthropicServingMessages, probe), True)
        setattr(AnthropicServingMessages, probe, staticmethod(forgiving))


# There is no later moment: the routes are set up before the first request.
spare_templates()
