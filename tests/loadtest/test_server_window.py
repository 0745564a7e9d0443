import pytest

from loadtest.server_window import (
    GENERATED,
    KV_USED,
    MEMORY,
    NAMES,
    PROMPT,
    REUSED,
    RUNNING,
    WAITING,
    ServerSample,
    ServerWindow,
    joined_windows,
    server_window,
)
from services.metrics.series import SERIES


def look(at_s: float, variant: str = "a", **values: float) -> ServerSample:
    names = {"running": RUNNING, "waiting": WAITING, "kv": KV_USED, "memory": MEMORY}
    names |= {"prompt": PROMPT, "reused": REUSED, "generated": GENERATED}
    told = {names[name]: value for name, value in values.items()}
    return ServerSample(at_s=at_s, variant=variant, values=told)


def test_every_series_is_one_that_variants_tell() -> None:
    assert set(NAMES) <= SERIES.keys()


def test_gauges_are_means_and_the_most_and_counters_rates() -> None:
    found = server_window(
        [
            look(9, running=9, generated=0),
            look(10, running=1, waiting=0, kv=0.25, memory=100, prompt=50, reused=0, generated=10),
            look(11, "b", running=7),
            look(12, running=3, waiting=4, kv=0.75, memory=300, prompt=90, reused=10, generated=50),
            look(21, running=9),
        ],
        "a",
        10,
        20,
    )
    assert found == ServerWindow(
        looks=2,
        running=2,
        most_running=3,
        waiting=2,
        most_waiting=4,
        kv_used=0.5,
        most_kv_used=0.75,
        memory_bytes=300,
        prompt_tok_per_s=20,
        generated_tok_per_s=20,
        reused=0.25,
    )


def test_what_is_not_told_is_none_and_no_look_no_window() -> None:
    found = server_window([look(1, running=2)], "a", 0, 5)
    assert found == ServerWindow(looks=1, running=2, most_running=2)
    assert server_window([look(6, running=2)], "a", 0, 5) is None


def test_a_counter_that_began_anew_tells_nothing() -> None:
    found = server_window([look(1, generated=50), look(3, generated=5)], "a", 0, 5)
    assert found is not None
    assert found.generated_tok_per_s is None


def test_rounds_are_joined_by_their_looks() -> None:
    one = ServerWindow(looks=1, running=4, most_running=4, memory_bytes=5)
    three = ServerWindow(looks=3, running=2, most_running=8, kv_used=0.5)
    joined = joined_windows([one, three])
    assert joined is not None
    assert joined.running == pytest.approx(2.5)
    assert (joined.looks, joined.most_running) == (4, 8)
    assert (joined.kv_used, joined.waiting, joined.memory_bytes) == (0.5, None, 5)
    assert joined_windows([]) is None
