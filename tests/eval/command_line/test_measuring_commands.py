from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from eval.command_line.measuring_commands import slo_search
from loadtest.locust_process import LoadTestError
from tests.loadtest.examples import VARIANTS, a_plan, some_prompts, write_plan


def test_a_search_that_lacks_a_variant_ends_with_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, Any] = dict.fromkeys(VARIANTS)
    monkeypatch.setattr("loadtest.rate_search.search", lambda *_, **_how: found)
    monkeypatch.setattr("loadtest.measure.plan_prompts", lambda _: some_prompts())
    monkeypatch.setattr("quantize.jobs.lock.hold", lambda *_: nullcontext())
    plan = str(write_plan(a_plan(1), tmp_path / "plan.yaml"))
    slo_search(plan=plan, trials=1)
    del found[VARIANTS[1]]
    with pytest.raises(LoadTestError, match=rf"^{VARIANTS[1]} failed; the others' trials are kept"):
        slo_search(plan=plan, trials=1)
