"""Prometheus beside the running service, where there is no compose: Debian's package, as it is.

It reads the same configuration as compose.yaml's, pointed at the service's address.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.client_key import CLIENT_VARIABLE, bearer
from deploy.service import DeployError
from quantize.jobs.lifeline import end, guarded
from services.metrics.discovery import TARGETS_PATH

FOLDER = Path(__file__).parent
CONFIGURATION = FOLDER / "prometheus.yml"
KEY_FILE = "api_key"
LISTEN = "127.0.0.1:9090"
TIMEOUT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A service to watch: its root ``url``, and the key it asks for ("" where it asks for none)."""

    url: str
    key: str


def configuration(watched: Watched, *, scrape_interval_s: int | None = None) -> dict[str, Any]:
    """The content of prometheus.yml for a service at another address.

    ``scrape_interval_s`` is for those in a hurry.
    """
    content: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    for job in content["scrape_configs"]:
        for discovery in job["http_sd_configs"]:
            discovery["url"] = f"{watched.url}{TARGETS_PATH}"
            if scrape_interval_s is not None:
                discovery["refresh_interval"] = f"{scrape_interval_s}s"
    if scrape_interval_s is not None:
        hurried = ("scrape_interval", "scrape_timeout", "evaluation_interval")
        content["global"] |= dict.fromkeys(hurried, f"{scrape_interval_s}s")
    return content


def write_configuration(folder: Path, content: dict[str, Any], watched: Watched) -> Path:
    """Put a configuration with its rules and its key into a folder; returns the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in content["rule_files"]:
        shutil.copyfile(FOLDER / name, folder / name)
    key = folder / KEY_FILE
    key.touch(mode=0o600)
    key.write_text(watched.key)
    path = folder / CONFIGURATION.name
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def command(configured: Path, data: Path, listen: str) -> list[str]:
    """Prometheus' command line.

    Raises:
        DeployError: it is not installed.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise DeployError(
            "there is no Prometheus here: `apt-get install prometheus`, or use compose"
        )
    return [
        program,
        f"--config.file={configured}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={listen}",
        "--log.level=warn",
    ]


def check_key(watched: Watched) -> None:
    """Ask the service for what there is to watch, as Prometheus will.

    Raises:
        DeployError: it does not take the key.
    """
    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
            answer = client.get(f"{watched.url}{TARGETS_PATH}", headers=bearer(watched.key))
    except httpx.HTTPError:
        return  # busy or not up yet: Prometheus asks again
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise DeployError(
            f"the service at {watched.url} asks for a key that is not ours: "
            f"name the plan that it runs (PLAN=…), or give the key in {CLIENT_VARIABLE}, "
            "which comes before the plan's"
        )


def watch(watched: Watched) -> None:
    """Run Prometheus in the foreground until Ctrl-C; what it recorded is gone afterwards.

    Raises:
        DeployError: it is not installed, ends by itself, or would be refused by the service.
    """
    check_key(watched)
    with tempfile.TemporaryDirectory(prefix="assay-prometheus-") as name:
        folder = Path(name)
        configured = write_configuration(folder, configuration(watched), watched)
        arguments = command(configured, folder / "data", LISTEN)
        print(f"Prometheus at http://{LISTEN}, watching {watched.url}; Ctrl-C ends it", flush=True)
        guard = subprocess.Popen(guarded(arguments, [folder]), start_new_session=True)
        try:
            code = guard.wait()
        finally:
            end(guard)
        raise DeployError(f"Prometheus ended with code {code}")
