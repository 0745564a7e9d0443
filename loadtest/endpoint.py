"""Asks an endpoint whether it is ready, what it serves, and how much memory it uses."""

import os

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.plan import Serving
from loadtest.job import KEY_VARIABLE
from loadtest.load_file import Endpoint

TIMEOUT_S = 30.0


class EndpointError(ValueError):
    """An endpoint that cannot be loaded; the message names variant, state and remedy."""


class _Health(BaseModel):
    """The part of ``/<variant>/healthz`` that a load test needs; the route may say more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    variant: str
    state: str
    reason: str | None = None
    recipe: str = ""
    engine: str = ""
    engine_version: str | None = None
    artifact_sha256: str | None = None
    memory_bytes: int | None = None
    held_weight_bytes: int | None = None


def read_endpoint(serving: Serving, variant: str) -> Endpoint:
    """What the variant's health route says; blocks up to ``TIMEOUT_S``.

    Raises:
        EndpointError: nobody answers, the variant is not there, not ready, or says no hash.
    """
    url = f"{serving.url}/{variant}/healthz"
    remedy = "start it with `make deploy-all`, see `make status`"
    key = os.environ.get(KEY_VARIABLE)
    try:
        # Local endpoints are not to be asked through the proxy of the user's shell.
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            answer = client.get(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    except httpx.HTTPError as error:
        raise EndpointError(f"{variant}: no answer from {url} ({error}); {remedy}") from None
    try:
        health = _Health.model_validate_json(answer.content)
    except ValidationError:
        raise EndpointError(
            f"{variant}: {url} answered {answer.status_code} and not with its health; {remedy}"
        ) from None
    if health.state != "ready":
        why = f" ({health.reason})" if health.reason else ""
        raise EndpointError(f"{variant}: is {health.state!r}{why}, not 'ready'; {remedy}")
    if not health.artifact_sha256 or not health.engine_version:
        raise EndpointError(
            f"{variant}: {url} names no artifact_sha256 or engine_version, so results could not "
            "be told from those of another artifact; deploy it again with `make deploy-all`"
        )
    return Endpoint(**health.model_dump(exclude={"state", "reason"}))
