"""A plan's mistakes are told in words of plans: which key, what it must be, what it was."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.plan import PLANS_DIR, PlanError, make_plan


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"load": 3}, "load: must be a mapping of keys (got 3)"),
        ({"serving": 5}, "serving: must be a mapping of keys (got 5)"),
        ({"limits": []}, "limits: must be a mapping of keys (got [])"),
        ({"variants": []}, "variants: must have at least 1, and has 0 (got [])"),
        ({"variants": 3}, "variants: must be a list (got 3)"),
        ({"load": {"concurrencies": "a"}}, "load.concurrencies: must be a list (got 'a')"),
        ({"load": {"concurrencies": [0]}}, "load.concurrencies.0: must be at least 1 (got 0)"),
        ({"load": {"kind": "poisson"}}, "load.rates_per_s: is missing"),
        ({"serving": {"port": 1.5}}, "serving.port: must be a whole number (got 1.5)"),
        ({"load": {"duration_s": "a"}}, "load.duration_s: must be a number (got 'a')"),
        ({"load": {"duration_s": 0}}, "load.duration_s: must be more than 0.0 (got 0)"),
        ({"explore": "maybe"}, "explore: must be true or false (got 'maybe')"),
    ],
)
def test_a_wrong_value_is_one_line_without_the_librarys_words(
    content: dict[str, Any], told: str
) -> None:
    known = yaml.safe_load((PLANS_DIR / "cpu-demo.yaml").read_text())
    with pytest.raises(PlanError) as refused:
        make_plan({**known, **content}, Path("p.yaml"))
    assert str(refused.value).splitlines()[1:] == [f"  {told}"]
