"""How the terminal shows what a service says of itself."""

from typing import Any

from deploy.health import table
from services.engine.life_cycle import State

URL = "http://127.0.0.1:8000"
HINT = "without its key the service tells states alone: give it in ASSAY_API_KEY"


def told(**more: Any) -> dict[str, dict[str, Any]]:
    """What the gateway answers about one variant."""
    return {"gguf-q4_k_m": {"state": State.READY.value, **more}}


def test_who_sends_no_key_is_told_why_there_are_only_states() -> None:
    assert table(URL, told()).splitlines()[-1] == HINT


def test_who_is_told_everything_needs_no_key() -> None:
    assert HINT not in table(URL, told(restarts=0))


def test_a_service_that_is_gone_is_no_matter_of_keys() -> None:
    assert HINT not in table(URL, {"gguf-q4_k_m": {"state": State.STOPPED}})


def test_why_a_variant_failed_stands_below_the_table() -> None:
    failed = {"broken": {"state": State.FAILED.value, "restarts": 5, "reason": "no such file"}}
    assert table(URL, failed).splitlines()[-1] == "broken is failed: no such file"
