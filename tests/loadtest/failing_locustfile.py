"""The load test's locustfile, of which one step of a round fails: which, the environment says.

Locust alone loads it, in its own process.
"""

import os
from typing import Any

from loadtest.locustfile import CompletionUser, Round

__all__ = ["CompletionUser"]

FAILS_VARIABLE = "ASSAY_TEST_FAILS"


def _fail(*_: Any) -> None:
    raise RuntimeError("this step fails")


setattr(Round, os.environ[FAILS_VARIABLE], _fail)
