"""Which worker runs which tests, where several share them: a module is one worker's.

All modules that use the one service are one worker's together, for it has fixed ports and much
memory. pytest-xdist's own groups (``loadgroup``) do not reach its scheduler under pytest 9.2,
whose tests' names cannot be given a suffix; a scheduler of one's own is its other way.
"""

import re
from functools import cache

from xdist.scheduler import LoadScopeScheduling

from quantize.root import ROOT

SERVICE = "service"
_USES_SERVICE = re.compile(r"\bservice: str\b")


@cache
def scope_of(module: str) -> str:
    """The scope of a module (its path from the root): its own, or the service's."""
    return SERVICE if _USES_SERVICE.search((ROOT / module).read_text()) else module


class ByModule(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out tests by scope, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])
