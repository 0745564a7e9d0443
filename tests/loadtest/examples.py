"""Hand-made records, plans and prompts for the tests of the load test."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deploy.plan import Plan
from deploy.plan_load import ClosedLoopLoad, Load
from loadtest.asks import Asks, Terms
from loadtest.closed_loop import ClosedLoop
from loadtest.load_point import LoadPoint
from loadtest.prompts import PromptSource
from loadtest.records import RequestRecord

VARIANTS = ("bf16-vllm", "gguf-q8_0")


def a_record(**changes: Any) -> RequestRecord:
    """A good request of 1 s: the first of 11 tokens after 0.5 s, one every 50 ms."""
    values: dict[str, Any] = {
        "variant": "bf16-vllm",
        "round": 0,
        "point": ClosedLoop(1),
        "request_id": "x",
        "counted": True,
        "scheduled_s": 0.0,
        "send_s": 0.0,
        "first_token_s": 0.5,
        "last_token_s": 1.0,
        "end_s": 1.0,
        "prompt_tokens": 8,
        "output_tokens": 11,
        "chunks": 11,
        "max_gap_s": 0.05,
        "status": 200,
        "error": None,
    }
    return RequestRecord(**(values | changes))


def in_a_row(count: int, *, length_s: float = 1.0, **changes: Any) -> list[RequestRecord]:
    """One user's requests, one after the other."""
    return [
        a_record(
            scheduled_s=at,
            send_s=at,
            first_token_s=at + length_s / 2,
            last_token_s=at + length_s,
            end_s=at + length_s,
            **changes,
        )
        for at in (number * length_s for number in range(count))
    ]


def failed(**changes: Any) -> RequestRecord:
    """A request that was refused after 1 s."""
    nothing: dict[str, Any] = {"first_token_s": None, "last_token_s": None, "output_tokens": 0}
    return a_record(**(nothing | {"status": 429, "error": "HTTP 429: full"} | changes))


def a_plan(port: int, **load: Any) -> Plan:
    """Two variants, two short levels, against a fake engine."""
    profile = {
        "concurrencies": [1, 2],
        "rounds": 1,
        "duration_s": 0.2,
        "warmup_s": 0.05,
        "prompt_tokens": 24,
        "output_tokens": 4,
    }
    return Plan.model_validate(
        {
            "name": "test",
            "variants": list(VARIANTS),
            "baseline": VARIANTS[0],
            "serving": {"port": port, "request_timeout_s": 20},
            "load": profile | load,
        }
    )


def write_plan(plan: Plan, path: Path) -> Path:
    """The plan as a YAML file."""
    path.write_text(yaml.safe_dump(plan.model_dump(mode="json")))
    return path


def some_asks(point: LoadPoint, load: Load | None = None, **terms: Any) -> Asks:
    """What the requests of a leg at that point ask; the prompt of each has its own number."""
    known: dict[str, Any] = {
        "load": load or ClosedLoopLoad(),
        "prompts": some_prompts(),
        "number": lambda index: index,
        "due_s": point.due_s,
        "users": point.users,
        "amount": point.amount,
    }
    return point.asks(Terms(**(known | terms)))


def some_prompts() -> PromptSource:
    """Prompts cut from the numbers 10 to 999."""
    ids = np.arange(10, 1000, dtype=np.int32)
    return PromptSource(bos=1, ids=ids, starts=np.arange(900, dtype=np.int32))
