"""Get what a Hugging Face id names, and say in one line where that cannot be.

The hub's client tells of each of its attempts by itself; what its user needs to know is the end.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError


class HubError(ValueError):
    """It cannot be downloaded; the message says why, in one line."""


def fetched(download: Callable[..., str], name: str, **more: Any) -> Path:
    """What ``download``, a function of the hub's client, brings of ``name``.

    Blocks for as long as the client tries, half a minute where there is no network.

    Raises:
        HubError: it failed.
    """
    client = logging.getLogger("huggingface_hub")
    before = client.level
    client.setLevel(logging.ERROR)
    try:
        return Path(download(name, **more))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise HubError(f"{type(error).__name__}: {first_line}") from None
    finally:
        client.setLevel(before)
