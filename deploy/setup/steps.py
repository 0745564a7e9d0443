"""The commands that set-up runs: each with its log, all of them stopped together."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.setup.environments import UV_PIN, SetupError
from deploy.setup.pip_configuration import NO_INDEX
from quantize.jobs.lifeline import guarded
from quantize.jobs.log_tail import log_tail
from quantize.root import VENVS


def uv_outside() -> str | None:
    """The machine's own uv; the one of an activated environment would go with it when remade."""
    found = shutil.which("uv")
    inside = found and VENVS.resolve() in Path(found).resolve().parents
    return None if inside else found


class Steps:
    """Runs commands with one uv and one set of index settings."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        # uv has no variable for it. Offline alone, it would take an index from its cache, and then
        # look in vain for the files that this one names.
        self.uv_words = ["--no-index"] if NO_INDEX in self.environment else []
        self.running: set[subprocess.Popen[bytes]] = set()
        self.logs = VENVS / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.uv = uv_outside() or self._bootstrap_uv()

    def _bootstrap_uv(self) -> str:
        """Install the pinned uv into an environment of its own."""
        home = VENVS / "uv"
        uv = home / "bin" / "uv"
        if not uv.exists():
            log = self.logs / "uv.log"
            try:
                self.run([sys.executable, "-m", "venv", str(home)], log)
            except SetupError as error:
                raise SetupError(f"{error}\n(on Debian: `apt-get install python3-venv`)") from None
            self.run([str(home / "bin" / "pip"), "install", UV_PIN], log)
        return str(uv)

    def run(
        self, command: list[str], log: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        """Run one step, its output to the log; the log's end is the error's message.

        Raises:
            SetupError: the step failed.
        """
        with log.open("ab") as stream:
            stream.write(f"$ {' '.join(command)}\n".encode())
            stream.flush()
            child = subprocess.Popen(
                guarded(command),
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=self.environment if variables is None else dict(variables),
                start_new_session=True,
            )
            self.running.add(child)
            code = child.wait()
            self.running.discard(child)
        if code:
            raise SetupError(
                f"`{' '.join(command[:4])} …` failed; the end of {log}:\n{log_tail(log)}"
            )

    def stop(self) -> None:
        """Stop every step under way (each guard takes its whole process group along)."""
        for child in list(self.running):
            child.terminate()
