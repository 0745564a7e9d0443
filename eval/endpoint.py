"""What a variant's endpoint says of itself before it is asked anything."""

import os

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from loadtest.endpoint import TIMEOUT_S, EndpointError
from loadtest.job import KEY_VARIABLE


class Health(BaseModel):
    """The part of ``/<variant>/healthz`` that decides what may be asked, and what was asked.

    ``capabilities`` are proven by the endpoint's own self-test. Other keys are the operator's and
    may grow, so they are ignored here.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    variant: str
    recipe: str
    engine: str
    state: str
    reason: str | None = None
    artifact_sha256: str | None
    engine_version: str
    memory_bytes: int | None
    held_weight_bytes: int | None
    capabilities: tuple[str, ...]


def read_health(url: str, variant: str, *, transport: httpx.BaseTransport | None = None) -> Health:
    """Ask ``<url>/<variant>/healthz`` once; blocks for at most 30 s.

    Raises:
        EndpointError: nobody answers, the answer is malformed, or the variant is not ready.
    """
    address = f"{url}/{variant}/healthz"
    key = os.environ.get(KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with httpx.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False) as client:
            answer = client.get(address, headers=headers)
        health = Health.model_validate_json(answer.content)
    except httpx.HTTPError as error:
        raise EndpointError(
            f"{variant} does not answer at {address} ({type(error).__name__}); "
            "run `make deploy-all`"
        ) from None
    except ValidationError:
        raise EndpointError(
            f"{address} answered {answer.status_code} without a state; run `make deploy-all`"
        ) from None
    if health.variant != variant or health.state != "ready":
        why = f": {health.reason}" if health.reason else ""
        raise EndpointError(f"{address}: {health.variant} is {health.state}{why}")
    return health
