"""What every refused or failed request is answered with: OpenAI's error JSON.

RequestError                 any of them
├── 400 invalid_request_error    a field is wrong; ``param`` names it
├── 401 authentication_error     no key of this deployment
├── 403 permission_error         a page of another origin, which the plan does not name
├── 404 not_found_error          no such variant or route; the message lists the valid names
├── 405 invalid_request_error    another method is wanted; carries Allow
├── 408 invalid_request_error    the body did not come in time
├── 413 invalid_request_error    the body is too large
├── 415 invalid_request_error    the body is encoded
├── 429 rate_limit_error         the queue is full; carries Retry-After
├── 500 server_error             ours, or Ray Serve's; the log tells more
├── 502 engine_error             the engine broke off
├── 503 unavailable_error        the variant is starting, or its engine is dead
└── 504 timeout_error            the engine did not answer in time

``CLIENT_LEFT`` and ``BROKE_OFF`` are what a request is counted and logged under whose answer was
not completed, whatever status it began with. Standard library only: our own server raises the same
errors in the environments of the engines it runs in.
"""

import json
from collections.abc import Mapping, Sequence

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "engine_error",
    503: "unavailable_error",
    504: "timeout_error",
}
# OpenAI's own words where it has any; clients branch on them.
_CODES: Mapping[int, str] = {
    401: "invalid_api_key",
    404: "unknown_url",
    429: "rate_limit_exceeded",
}
MODEL_NOT_FOUND = "model_not_found"
# What clients shorten a conversation for.
TOO_LONG = "context_length_exceeded"
RETRY_AFTER_S = 1
# nginx's number for a client that left before its answer was complete.
CLIENT_LEFT = 499
# An answer that had begun and was not completed.
BROKE_OFF = 502


class RequestError(Exception):
    """A request that ends with an OpenAI error of this status.

    ``code`` is OpenAI's word for the reason, where it has one (a string: strict clients read no
    other kind); the status has its own place. ``allow`` are the methods that a 405 names.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code or _CODES.get(status)
        self.allow = tuple(allow)

    def body(self) -> bytes:
        """The response body, as OpenAI's clients expect it."""
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, "invalid_request_error"),
            "param": self.param,
            "code": self.code,
        }
        return json.dumps({"error": error}).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Content type, and when to come back or what to bring where that helps."""
        headers = [(b"content-type", b"application/json")]
        if self.status in {429, 503}:
            headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.allow:
            headers.append((b"allow", ", ".join(self.allow).encode()))
        return headers


def read_error(body: bytes, status: int) -> RequestError | None:
    """An engine's error as ours; None for what is none.

    ``status`` is what the answer had; an error told in a stream has it as its code instead.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = content.get("error", content) if isinstance(content, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    if error is content and content.get("object") != "error":
        return None
    code, param = error.get("code"), error.get("param")
    if isinstance(code, int) and 400 <= code < 600:
        status = code
    return RequestError(
        status if status >= 400 else 500,
        error["message"],
        param=param if isinstance(param, str) else None,
        code=code if isinstance(code, str) else _code(status, error["message"]),
    )


def _code(status: int, message: str) -> str | None:
    """What an engine says in words alone (vLLM: "maximum context length is … tokens")."""
    if status == 404 and "model" in message:
        return MODEL_NOT_FOUND
    return TOO_LONG if status == 400 and "context length" in message else None
