"""A client that fails, or asks nothing, is a limit that is not met."""

from tests.benches.clients.outcomes import Outcome, figures_of, outcomes_table

GOOD = Outcome(client="openai", variant="gguf-q8_0", base="/v1", ok=14, refused=2)
BAD = Outcome(client="aiperf", variant="bf16-vllm", base="/v1", ok=0, failed=3, reason="404")


def test_every_client_must_ask_something_and_nothing_may_fail() -> None:
    assert all(figure.met for figure in figures_of([GOOD]))
    assert [figure.met for figure in figures_of([BAD])] == [False, False]


def test_the_table_tells_each_client_at_each_base() -> None:
    head, good, bad = outcomes_table([GOOD, BAD]).splitlines()
    assert head.split() == ["client", "variant", "base", "ok", "refused", "failed", "reason"]
    assert good.split() == ["openai", "gguf-q8_0", "/v1", "14", "2", "0"]
    assert bad.split() == ["aiperf", "bf16-vllm", "/v1", "0", "3", "404"]
