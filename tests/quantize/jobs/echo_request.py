"""What the job for tests is asked and answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class EchoRequest:
    """What to do in the process that stays: say ``words``, take so much, then end so."""

    words: str
    memory_bytes: int = 0
    seconds: float = 0
    grandchild: bool = False
    fail: Literal["input", "tool", "killed"] | None = None


@dataclass(frozen=True, kw_only=True)
class EchoReply:
    """Which process it was, and where it ran."""

    pid: int
    folder: Path


ECHO: JobModule[EchoRequest, Progress | EchoReply, EchoReply] = JobModule(
    module="tests.quantize.jobs.echo_job",
    environment=None,
    request=EchoRequest,
    tells=(Progress, EchoReply),
    reply=EchoReply,
)
