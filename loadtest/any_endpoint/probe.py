"""Tries what an endpoint understands, with a few short requests, before it is put under load.

Every refusal that a user can mend is told in one line with its remedy; one that only says that a
field is not known is tried again without the field.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from deploy.client_key import bearer
from loadtest.completion import Reading, read_stream
from loadtest.dialect import Api, Dialect
from loadtest.endpoint import EndpointError
from services.http.stream_chunk import StreamError, error_message

TIMEOUT_S = 120.0
PROBE_TOKENS = 8
PROBE_TEXT = "Write about a river that runs through a town."
# A change of the dialect for each of the fields that an endpoint may not know.
_FORGO: dict[str, Callable[[Dialect], Dialect]] = {
    "max_completion_tokens": lambda it: it.model_copy(
        update={"length_key": "max_completion_tokens"}
    ),
    "ignore_eos": lambda it: it.model_copy(update={"exact": False}),
    "stream_options": lambda it: it.model_copy(update={"usage": False}),
    "include_usage": lambda it: it.model_copy(update={"usage": False}),
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the probe found: how to ask, who answered (its ``server`` header), and remarks."""

    dialect: Dialect
    server: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer to a probe."""

    status: int
    said: str
    server: str
    reading: Reading


class Probe:
    """Asks one endpoint: ``url`` is its OpenAI base (``https://host/v1``), ``key`` may be empty."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._client = httpx.Client(headers=bearer(key), timeout=TIMEOUT_S, trust_env=False)

    def find(self, model: str, api: Api | None = None) -> Found:
        """How to ask for ``model`` (empty: the only one that is there), by ``api`` or by any.

        Raises:
            EndpointError: it does not answer, or not so that it can be measured.
        """
        with self._client:
            name = self._model(model)
            apis: tuple[Api, ...] = (api,) if api else ("completions", "chat")
            for tried in apis:
                answered, dialect = self._try(Dialect(api=tried, model=name))
                if answered.status == 404 and tried != apis[-1]:
                    continue  # servers of chats alone have no other route
                return self._found(answered, dialect)
        raise AssertionError("at least one is tried")

    def _model(self, model: str) -> str:
        """The model's name, checked against the list where the endpoint has one."""
        listed = self._get("/models")
        if listed.status_code in (401, 403):
            raise EndpointError(self._refused(listed.status_code))
        names = _names(listed) if listed.status_code == 200 else []
        if model and names and model not in names:
            raise EndpointError(f"{self.url} has no model {model!r}: it has {', '.join(names)}")
        if not model and listed.status_code == 200 and not _is_json(listed):
            raise EndpointError(
                f"{self.url} is no base of OpenAI's routes: /models answers with no JSON "
                f"({listed.headers.get('content-type', 'of no type')}); --url is mostly "
                "http://host:port/v1"
            )
        if not model and len(names) != 1:
            there = f"it has {', '.join(names)}" if names else "it lists none"
            raise EndpointError(f"{self.url}: name a model with --model ({there})")
        return model or names[0]

    def _try(self, dialect: Dialect) -> tuple[Answered, Dialect]:
        """Ask, and ask again without whatever the endpoint says it does not know."""
        answered = self._ask(dialect)
        for field, forgo in _FORGO.items():
            if answered.status in (400, 422) and field in answered.said:
                dialect = forgo(dialect)
                answered = self._ask(dialect)
        if answered.status in (400, 422) and dialect.exact:
            # Some only say that an argument is wrong.
            plain = dialect.model_copy(update={"exact": False, "usage": False})
            again = self._ask(plain)
            if again.status == 200:
                return again, plain
        return answered, dialect

    def _found(self, answered: Answered, dialect: Dialect) -> Found:
        if answered.status != 200:
            raise EndpointError(self._refused(answered.status, answered.said))
        reading, remarks = answered.reading, []
        if reading.first_token_s is None:
            what = f": it says {answered.said!r}" if answered.said else ""
            raise EndpointError(f"{self.url}{dialect.route} streams no text{what}")
        if dialect.usage and not reading.output_tokens:
            dialect = dialect.model_copy(update={"usage": False})
            remarks.append("its streams have no usage: a chunk counts as a token")
        if reading.chunks <= PROBE_TOKENS < reading.output_tokens:
            dialect = dialect.model_copy(update={"believed": False})
            remarks.append(
                f"its usage counts {reading.output_tokens} tokens where {PROBE_TOKENS} were asked "
                "for: a chunk counts as a token"
            )
        told = reading.output_tokens if dialect.believed else reading.chunks
        if dialect.exact and dialect.usage and told != PROBE_TOKENS:
            dialect = dialect.model_copy(update={"exact": False})
            how = "ends its answers all the same"
            if told > PROBE_TOKENS:
                how = f"writes {told} tokens where {PROBE_TOKENS} are the most"
            remarks.append(f"it takes ignore_eos and {how}")
        if not dialect.exact and not remarks:
            remarks.append("answers end as they like: variants of other lengths do not compare")
        return Found(dialect=dialect, server=answered.server, remarks=tuple(remarks))

    def _ask(self, dialect: Dialect) -> Answered:
        headers = {"Content-Type": "application/json"}
        reading = Reading()
        try:
            with self._client.stream(
                "POST",
                f"{self.url}{dialect.route}",
                content=dialect.body(PROBE_TEXT, PROBE_TOKENS),
                headers=headers,
            ) as response:
                server = response.headers.get("server", "")
                if response.status_code != 200:
                    said = error_message(response.read())
                else:
                    pieces = response.iter_raw()
                    read_stream(reading, lambda: next(pieces, b""), lambda: 0.0)
                    said = reading.stray
                return Answered(
                    status=response.status_code, said=said, server=server, reading=reading
                )
        except StreamError as error:
            return Answered(status=200, said=str(error), server="", reading=Reading())
        except httpx.HTTPError as error:
            raise EndpointError(self._no_answer(error)) from None

    def _get(self, route: str) -> httpx.Response:
        try:
            return self._client.get(f"{self.url}{route}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise EndpointError(self._no_answer(error)) from None

    def _no_answer(self, error: Exception) -> str:
        return f"no answer from {self.url} ({error or type(error).__name__})"

    def _refused(self, status: int, said: str = "") -> str:
        told = f" ({said})" if said else ""
        match status:
            case 401 | 403:
                how = "refused our key" if self._key else "wants a key: give --key or ASSAY_API_KEY"
                return f"{self.url} {how}: HTTP {status}{told}"
            case 404:
                return (
                    f"{self.url} has no such route or model: HTTP 404{told}; --url is the base of "
                    "OpenAI's routes, mostly http://host:port/v1"
                )
            case 429:
                return f"{self.url} is too busy, or your quota is used up: HTTP 429{told}"
        return f"{self.url} refuses a short streamed request: HTTP {status}{told}"


def _is_json(listed: httpx.Response) -> bool:
    try:
        json.loads(listed.content)
    except ValueError:
        return False
    return True


def _names(listed: httpx.Response) -> list[str]:
    """The names of a list of models; none where it is none."""
    try:
        return [str(item["id"]) for item in json.loads(listed.content)["data"]]
    except (ValueError, KeyError, TypeError):
        return []
