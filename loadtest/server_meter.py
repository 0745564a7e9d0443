"""Looks at the ``/metrics`` of the variant under load, in a thread beside the load generator.

A look costs the server some milliseconds (vLLM tells a thousand lines), so there are few: when the
window opens, and every ``PERIOD_S`` after it. All variants are looked at alike.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from deploy.client_key import client_headers
from loadtest.server_window import NAMES, ServerSample, ServerWindow, server_window
from services.metrics.exposition import read_values

PERIOD_S = 2.0
TIMEOUT_S = 5.0
Read = Callable[[str], dict[str, float]]


def read_metrics(url: str, variant: str) -> dict[str, float]:
    """What a variant tells of itself, by series; nothing where it does not answer."""
    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            answer = client.get(f"{url}/{variant}/metrics", headers=client_headers())
        found = read_values(answer.text, NAMES) if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return {name: values[0] for name, values in found.items()}


class ServerMeter:
    """Samples whichever variant is under load, as long as its block lasts.

    ``read`` asks a variant for its values.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._samples: list[ServerSample] = []
        self._variant: str | None = None
        self._over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="server-meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; blocks for a look that is under way."""
        with self._changed:
            self._over, self._variant = True, None
            self._changed.notify()
        self._thread.join()

    def watch(self, variant: str | None) -> None:
        """Look at this variant from now on; None: at none."""
        with self._changed:
            self._variant = variant
            self._changed.notify()

    def window(self, variant: str, start_s: float, end_s: float) -> ServerWindow | None:
        """What a variant told between two moments of the monotonic clock."""
        return server_window(self._samples, variant, start_s, end_s)

    def _run(self) -> None:
        while not self._over:
            variant = self._variant
            if variant is not None and (values := self._read(variant)):
                at_s = time.monotonic()
                self._samples.append(ServerSample(at_s=at_s, variant=variant, values=values))
            with self._changed:
                if not self._over and self._variant == variant:
                    self._changed.wait(PERIOD_S)
