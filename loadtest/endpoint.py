"""Asks a variant's endpoint what it is, whether it is ready, and how much memory it uses."""

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.client_key import client_headers
from loadtest.load_file import Endpoint
from services.engine.agreement import Agreement
from services.engines.kernels import Kernels
from services.gpus.engine_gpu import EngineGpu

TIMEOUT_S = 30.0


class EndpointError(ValueError):
    """An endpoint that cannot be used; the message names variant, state and remedy."""


class Health(BaseModel):
    """The part of ``/<variant>/healthz`` that decides what may be measured, and what was.

    ``capabilities`` are proven by the endpoint's own self-test, ``agreement`` by its answers to a
    probe; ``start_s`` is how long its engine's latest start took. Other keys are the operator's and
    may grow, so they are ignored here.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    variant: str
    state: str
    residency: str | None = None
    reason: str | None = None
    recipe: str = ""
    engine: str = ""
    engine_version: str | None = None
    artifact_sha256: str | None = None
    memory_bytes: int | None = None
    held_weight_bytes: int | None = None
    restarts: int = 0
    start_s: float | None = None
    capabilities: tuple[str, ...] = ()
    agreement: Agreement | None = None
    kernels: Kernels | None = None
    gpus: tuple[EngineGpu, ...] = ()


class ReadyHealth(Health):
    """The health of an endpoint that is ready, and says with what it answers."""

    engine_version: str
    artifact_sha256: str


def read_health(url: str, variant: str) -> ReadyHealth:
    """What ``<url>/<variant>/healthz`` says; blocks up to ``TIMEOUT_S``.

    Raises:
        EndpointError: nobody answers, the variant is not there, not ready, or says no hash; or it
            is not always awake, so that a measurement would be of others' turns too.
    """
    address = f"{url}/{variant}/healthz"
    remedy = "start it with `make deploy-all`, see `make status`"
    try:
        # Local endpoints are not to be asked through the proxy of the user's shell.
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            answer = client.get(address, headers=client_headers())
    except httpx.HTTPError as error:
        raise EndpointError(f"{variant}: no answer from {address} ({error}); {remedy}") from None
    try:
        health = Health.model_validate_json(answer.content)
    except ValidationError:
        raise EndpointError(
            f"{variant}: {address} answered {answer.status_code} and not with its health; {remedy}"
        ) from None
    if health.variant != variant:
        raise EndpointError(f"{variant}: {address} is the health of {health.variant}; {remedy}")
    if health.residency == "turns":
        raise EndpointError(
            f"{variant}: takes turns at being awake with the other variants of this service "
            "(serving.residency), which a measurement would charge to it; `make compare` serves "
            "each alone, or deploy as few as are awake together (VARIANTS=…)"
        )
    if health.state != "ready":
        why = f" ({health.reason})" if health.reason else ""
        raise EndpointError(f"{variant}: is {health.state!r}{why}, not 'ready'; {remedy}")
    if not health.artifact_sha256 or not health.engine_version:
        raise EndpointError(
            f"{variant}: {address} names no artifact_sha256 or engine_version, so results could "
            "not be told from those of another artifact; deploy it again with `make deploy-all`"
        )
    return ReadyHealth.model_validate(health.model_dump())


def as_endpoint(health: ReadyHealth) -> Endpoint:
    """What of its health a load test keeps."""
    kept = set(Endpoint.model_fields)
    return Endpoint(**health.model_dump(include=kept))


def same_health(url: str, endpoint: Endpoint) -> ReadyHealth:
    """Its health now, which is that of the same artifact and engine as before.

    Raises:
        EndpointError: it is not ready, or another artifact or engine answers.
    """
    name, after = endpoint.variant, read_health(url, endpoint.variant)
    known = (endpoint.artifact_sha256, endpoint.engine_version)
    if (after.artifact_sha256, after.engine_version) != known:
        raise EndpointError(f"{name}: was deployed anew during its load test; run it again")
    return after


def replaced(before: Health | None, after: Health) -> int:
    """How often an engine was replaced between two looks at its health.

    A replica that was replaced itself counts from 0 again; how long the start took, to the last
    digit, is of one start alone.
    """
    if before is None:
        return after.restarts
    return max(after.restarts - before.restarts, int(after.start_s != before.start_s))
