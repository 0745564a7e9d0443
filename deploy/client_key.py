"""The API key that our own requests send; no plan, log, record or result ever holds one."""

import os
from collections.abc import Mapping

# The key that our own tools send; commands fill it in from the keys of their plan.
CLIENT_VARIABLE = "ASSAY_API_KEY"
SERVER_VARIABLE = "ASSAY_API_KEYS"


def client_key(environment: Mapping[str, str] = os.environ) -> str:
    """The key of our own requests; empty where none is set."""
    key = environment.get(CLIENT_VARIABLE) or environment.get(SERVER_VARIABLE, "").split(",")[0]
    return key.strip()


def client_headers(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The authorization of our own requests; empty where no key is set."""
    return bearer(client_key(environment))


def bearer(key: str) -> dict[str, str]:
    """The header that sends a key; none where it is empty."""
    return {"Authorization": f"Bearer {key}"} if key else {}
