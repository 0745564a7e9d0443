"""What Locust's own page is asked to load: endpoints, how each is asked, and with which texts."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from loadtest.dialect import Dialect
from loadtest.locust_process import locust_environment
from quantize.jobs.lifeline import end, guarded
from quantize.jobs.whole_file import write_whole
from quantize.root import ROOT

# Where the page's process finds its job: Locust must know its users before it reads its options.
JOB_VARIABLE = "ASSAY_LIVE_JOB"
LOCUSTFILE = ROOT / "loadtest" / "live" / "live_locustfile.py"


class LiveTarget(BaseModel):
    """One endpoint, by the name under which it stands on the page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    dialect: Dialect

    @property
    def user_kind(self) -> str:
        """What its kind of user is called: the page itself loses underscores, and then the user."""
        return self.name.replace("_", "-")


class LiveJob(BaseModel):
    """All endpoints of a page; ``texts`` is a file, lengths are in tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[LiveTarget, ...]
    texts: Path
    output_tokens: int
    request_timeout_s: float


def our_targets(url: str, variants: Sequence[str]) -> tuple[LiveTarget, ...]:
    """Variants that we serve, each at its own base."""
    return tuple(
        LiveTarget(
            name=name,
            url=f"{url}/{name}/v1",
            dialect=Dialect(api="completions", model=name),
        )
        for name in variants
    )


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
