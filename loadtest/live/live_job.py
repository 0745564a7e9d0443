"""What Locust's own page is asked to load: endpoints, and what the plan's load asks of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.plan_load import AnyLoad
from loadtest.locust_process import locust_environment
from quantize.jobs.lifeline import end, guarded
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT

# Where the page's process finds its job: Locust must know its users before it reads its options.
JOB_VARIABLE = "ASSAY_LIVE_JOB"
LOCUSTFILE = ROOT / "loadtest" / "live" / "live_locustfile.py"


class LiveTarget(BaseModel):
    """One variant, by its name; ``url`` is what its ``/v1`` stands below."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str

    @property
    def user_kind(self) -> str:
        """What its kind of user is called: the page itself loses underscores, and then the user."""
        return self.name.replace("_", "-")


class LiveJob(BaseModel):
    """All endpoints of a page, and the section that says what they are asked.

    ``prompts`` is the file of the prompt source, ``series`` how many load tests there were before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[LiveTarget, ...]
    load: AnyLoad
    prompts: Path
    series: int
    request_timeout_s: float


def our_targets(url: str, variants: Sequence[str]) -> tuple[LiveTarget, ...]:
    """Variants that we serve, each at its own base."""
    return tuple(LiveTarget(name=name, url=f"{url}/{name}") for name in variants)


def start_page(job: LiveJob, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start Locust with its page, on loopback alone; the job is kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "live.json"
    write_whole(path, job.model_dump_json(indent=1))
    words = ["--locustfile", str(LOCUSTFILE), "--class-picker", "--loglevel", "WARNING"]
    words += ["--web-host", "127.0.0.1", "--web-port", str(port), "--exit-code-on-error", "0"]
    return subprocess.Popen(
        guarded([sys.executable, "-m", "locust", *words]),
        cwd=ROOT,
        env=locust_environment() | {JOB_VARIABLE: os.fspath(path)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def show_page(job: LiveJob, folder: Path, port: int, say: Callable[[str], None]) -> int:
    """Run Locust with its page until it ends or is interrupted; returns its exit code.

    Each endpoint is a kind of user, to be picked on the page.
    """
    process = start_page(job, folder, port)
    say(f"Locust's page: http://127.0.0.1:{port} (Ctrl-C ends it)")
    try:
        return process.wait()
    finally:
        end(process)
