"""Prometheus' files: valid, of series that exist, and every alert played through."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.monitoring import (
    CONFIGURATION,
    FOLDER,
    KEY_FILE,
    Watched,
    command,
    configuration,
    write_configuration,
)
from deploy.service import DeployError
from services.engine.child import free_port
from services.metrics.series import SERIES
from tests.assay_command import ASSAY
from tests.deploy.prometheus.prometheus_tools import needs_prometheus, promtool
from tests.quantize.jobs.processes import killed_leaves_nothing

ALERTS = FOLDER / "alerts.yml"
ALERT_TESTS = FOLDER / "alerts_test.yml"
WATCHED = Watched(url="http://127.0.0.1:8765", key="secret")
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def test_the_configuration_is_that_of_compose_at_another_address() -> None:
    original = yaml.safe_load(CONFIGURATION.read_text())
    changed = configuration(WATCHED)
    [discovery] = changed["scrape_configs"][0]["http_sd_configs"]
    assert discovery["url"] == "http://127.0.0.1:8765/prometheus/targets"
    discovery["url"] = original["scrape_configs"][0]["http_sd_configs"][0]["url"]
    assert changed == original


def test_those_in_a_hurry_scrape_more_often() -> None:
    content = configuration(WATCHED, scrape_interval_s=1)
    assert content["global"] == dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), "1s"
    )


def test_the_key_is_written_for_no_other_user_to_read(tmp_path: Path) -> None:
    path = write_configuration(tmp_path, configuration(WATCHED), WATCHED)
    key = tmp_path / KEY_FILE
    assert key.read_text() == "secret"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "secret" not in path.read_text()


@needs_prometheus
def test_prometheus_takes_the_configuration_with_its_rules(tmp_path: Path) -> None:
    said = promtool(
        "check", "config", write_configuration(tmp_path, configuration(WATCHED), WATCHED)
    )
    assert "1 rule files found" in said


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_of_series_that_are_told_and_says_what_to_do(rule: dict[str, str]) -> None:
    names = set(re.findall(r"\b(?:assay_\w+|up)\b", rule["expr"].replace('job="assay"', "")))
    assert names
    assert names <= SERIES.keys() | {"up"}
    assert set(rule["annotations"]) == {"summary", "description"}


@needs_prometheus
def test_every_alert_is_raised_when_it_should_be_and_not_before() -> None:
    promtool("test", "rules", ALERT_TESTS)
    played = yaml.safe_load(ALERT_TESTS.read_text())["tests"]
    cases = [case for test in played for case in test["alert_rule_test"]]
    assert {c["alertname"] for c in cases if c["exp_alerts"]} == {r["alert"] for r in RULES}


def test_a_machine_without_prometheus_is_told_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match="apt-get install prometheus"):
        command(tmp_path / "prometheus.yml", tmp_path, "127.0.0.1:9090")


@needs_prometheus
def test_a_killed_command_leaves_no_prometheus_and_no_folder_behind(tmp_path: Path) -> None:
    script = (
        "from deploy.prometheus import monitoring\n"
        f"monitoring.LISTEN = '127.0.0.1:{free_port()}'\n"
        "monitoring.watch(monitoring.Watched(url='http://127.0.0.1:9', key=''))\n"
    )
    assert killed_leaves_nothing(script, 2, TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_watch_where_nothing_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [*ASSAY, "prometheus"],
        env={**os.environ, "ASSAY_RUN_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nothing runs" in done.stderr
