import time

import pytest

from loadtest import server_meter
from loadtest.server_meter import ServerMeter, read_metrics
from loadtest.server_window import RUNNING
from tests.fake_engine import running_engine


def wait_for(asked: list[str], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(asked) < count and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(asked) >= count


def test_only_the_variant_under_load_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_meter, "PERIOD_S", 0.02)
    asked: list[str] = []

    def read(variant: str) -> dict[str, float]:
        asked.append(variant)
        return {RUNNING: float(len(asked))}

    began = time.monotonic()
    with ServerMeter(read) as meter:
        time.sleep(0.05)
        assert asked == []
        meter.watch("a")
        wait_for(asked, 3)
        meter.watch("b")
        wait_for(asked, asked.index("b") + 1 if "b" in asked else len(asked) + 2)
        meter.watch(None)
    found = meter.window("a", began, time.monotonic())
    assert found is not None
    assert found.looks == asked.count("a")
    assert meter.window("c", began, time.monotonic()) is None
    assert meter.window("a", began - 2, began - 1) is None


def test_a_server_that_does_not_answer_tells_nothing() -> None:
    assert read_metrics("http://127.0.0.1:1", "a") == {}


def test_the_values_of_a_variant_are_read() -> None:
    with running_engine() as engine:
        assert read_metrics(engine.url, "bf16-vllm")[RUNNING] == 2.0
