"""A server that stalls in mid-run, measured by the real client, as the report tells of it.

covers: eval/report/details.py, eval/report/load_tables.py, loadtest/open_loop.py
"""

from pathlib import Path

import pytest

from deploy.plan import Plan
from eval.report import formats
from eval.report.page import write_report
from loadtest import locust_process
from loadtest.load_file import LoadFigures, LoadFile
from loadtest.measure import load_test
from loadtest.run_directory import run_directory
from loadtest.validity import LATE
from quantize.root import ROOT
from tests.eval.report import builders, verdicts
from tests.eval.report.run_files import write_run
from tests.fake_engine import Behaviour, running_engine
from tests.loadtest.examples import VARIANTS, a_plan, some_prompts

STALL_S = 2.0


@pytest.fixture
def _few_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client with two users and one try: what is due while both wait for the server is late."""
    monkeypatch.setattr("loadtest.legs.ATTEMPTS", 1)
    for name in ("LEAST_USERS", "MOST_USERS"):
        monkeypatch.setattr(f"loadtest.open_loop.{name}", 2)
    words, ours = locust_process.locust_words, ROOT / "loadtest" / "locustfile.py"
    few = str(ROOT / "tests" / "loadtest" / "few_users_locustfile.py")
    monkeypatch.setattr(
        locust_process,
        "locust_words",
        lambda *given: tuple(few if word == str(ours) else word for word in words(*given)),
    )


@pytest.mark.usefixtures("_few_users")
def test_the_report_s_response_latency_tells_a_stall_that_its_service_latency_hides(
    tmp_path: Path,
) -> None:
    load = {"kind": "constant_rate", "rates_per_s": [20], "rounds": 1, "duration_s": 3.0}
    load |= {"warmup_s": 0.1, "prompt_tokens": 24, "output_tokens": 4}
    with running_engine({VARIANTS[0]: Behaviour(stall=(0.5, STALL_S))}) as engine:
        content = a_plan(engine.port).model_dump(mode="json") | {"load": load}
        plan = Plan.model_validate(content | {"variants": VARIANTS[:1]})
        assert load_test(plan, some_prompts(), say=print, results=tmp_path) == {}
    stored = (run_directory(plan, tmp_path) / VARIANTS[0] / "load.json").read_bytes()
    found = LoadFile.model_validate_json(stored)
    (level,) = found.levels
    assert level.service_e2e_s["p50"].value < 0.2
    assert level.e2e_s["p50"].value > 0.5
    assert level.e2e_s["p50"].value <= STALL_S + 0.5
    assert any(LATE in reason for reason in found.void)
    figures = {name: getattr(level, name) for name in LoadFigures.model_fields}
    comparison = builders.comparison()
    told = comparison.model_copy(
        update={
            "variants": [
                it.model_copy(update={"load": [it.load[-1].model_copy(update=figures)]})
                for it in comparison.variants
            ]
        }
    )
    page = write_report(write_run(tmp_path / "run", told, verdicts.recommended())).read_text()
    table = page.split("<h3>Response and service")[1].split("</table>")[0]
    row, *_ = (row for row in table.split("<tr")[1:] if ">p50<" in row)
    response, service = (
        formats.seconds(it["p50"].value) for it in (level.e2e_s, level.service_e2e_s)
    )
    assert response != service
    assert row.index(response) < row.index(service)
