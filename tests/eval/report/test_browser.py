"""The page in a real browser: its script runs, and nothing complains.

covers: eval/report/page.py
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from eval.report.page import write_report
from tests.eval.report import builders, run_files, verdicts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.engine
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
@pytest.mark.parametrize(
    "sketches", [builders.CPU_DEMO, builders.thirty()], ids=["seven", "thirty"]
)
def test_a_browser_shows_the_page_without_a_complaint(
    tmp_path: Path, sketches: tuple[builders.Sketch, ...]
) -> None:
    run = run_files.write_run(
        tmp_path / "run", builders.comparison(sketches), verdicts.recommended(sketches)
    )
    found = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            write_report(run).as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in found.stderr
    # The script turns headings into buttons; a policy that blocked it would leave none.
    assert found.stdout.count('<button type="button">') >= 10
    assert 'class="tip"' in found.stdout
