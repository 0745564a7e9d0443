"""Every way a request can fail, with its HTTP status and OpenAI error type.

RequestError
├── BadRequest        400, names the field
├── Unauthorized      401
├── UnknownModel      404
├── BodyTooLarge      413
├── QueueFull         429
└── EngineFailed      503
"""


class RequestError(Exception):
    """A failure that is told to the client as OpenAI error JSON."""

    status = 500
    kind = "server_error"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def body(self) -> dict[str, object]:
        """The JSON body of the OpenAI error format."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.status,
            }
        }

    def headers(self) -> dict[str, str]:
        """Response headers beside the body."""
        return {}


class BadRequest(RequestError):
    """The request asks for something impossible or unknown."""

    status = 400
    kind = "invalid_request_error"


class Unauthorized(RequestError):
    """The bearer key is missing or wrong."""

    status = 401
    kind = "authentication_error"

    def headers(self) -> dict[str, str]:
        """Tell the client which scheme is expected."""
        return {"www-authenticate": "Bearer"}


class UnknownModel(RequestError):
    """This server serves another model."""

    status = 404
    kind = "invalid_request_error"


class BodyTooLarge(RequestError):
    """The request body exceeds the limit."""

    status = 413
    kind = "invalid_request_error"


class QueueFull(RequestError):
    """Too many requests wait already."""

    status = 429
    kind = "rate_limit_error"

    def headers(self) -> dict[str, str]:
        """A second is many decode steps: long enough for the queue to move."""
        return {"retry-after": "1"}


class EngineFailed(RequestError):
    """The engine could not decode, or has stopped."""

    status = 503
