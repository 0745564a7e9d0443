"""What both sides of a job know of it: which module carries it out, what it is asked and answers.

Declared once, in a file that both sides import: outside (``worker.py``), where the tool's own
libraries are missing, and inside (``job_server.py``). Standard library only.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Told = TypeVar("Told")
Reply = TypeVar("Reply")


@dataclass(frozen=True)
class Progress:
    """How far a job is: ``calibrating 3/16``, ``step 5/100, 0.1234 nats``; zeros are left out."""

    doing: str
    done: int = 0
    total: int = 0
    note: str = ""

    @property
    def words(self) -> str:
        """One phrase for a line of progress."""
        count = f" {self.done}/{self.total}" if self.total else f" {self.done}" if self.done else ""
        return f"{self.doing}{count}" + (f", {self.note}" if self.note else "")


@dataclass(frozen=True, kw_only=True)
class JobModule(Generic[Request, Told, Reply]):
    """A module of ours that carries out requests (``python -m module words…``).

    ``environment`` names the virtual environment whose Python runs it (None: the one that asks).
    ``request``, ``tells`` (what it may say on the way) and ``reply`` are frozen dataclasses or
    pydantic models; a ``reply`` of NoneType says no more than that the job is done.
    """

    module: str
    environment: str | None
    request: type[Request]
    tells: tuple[type[Told], ...]
    reply: type[Reply]
    words: tuple[str, ...] = ()
