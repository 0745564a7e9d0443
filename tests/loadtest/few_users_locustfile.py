"""The load test's locustfile with two users for whatever arrives: a client that runs out of them.

Locust alone loads it, in its own process.
"""

import loadtest.open_loop
from loadtest.locustfile import CompletionUser

__all__ = ["CompletionUser"]

loadtest.open_loop.LEAST_USERS = loadtest.open_loop.MOST_USERS = 2
