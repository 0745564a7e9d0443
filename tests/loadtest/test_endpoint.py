from collections.abc import Iterator

import pytest

from deploy.plan import Serving
from loadtest.endpoint import EndpointError, as_endpoint, read_health
from services.engine.agreement import Agreement
from tests.fake_engine import FakeEngine, running_engine


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running_engine() as running:
        yield running


def test_a_ready_endpoint_says_what_it_serves(engine: FakeEngine) -> None:
    found = as_endpoint(read_health(engine.url, "gguf-q8_0"))
    assert (found.variant, found.engine, found.artifact_sha256) == ("gguf-q8_0", "fake", "a" * 64)
    assert (found.memory_bytes, found.held_weight_bytes) == (1000, 500)


def test_a_load_test_keeps_how_far_an_endpoint_is_from_its_weights(engine: FakeEngine) -> None:
    agreement = Agreement(state="agrees", tokens=9, mean_nats=0.01, limit_nats=0.2)
    health = read_health(engine.url, "gguf-q8_0").model_copy(update={"agreement": agreement})
    assert as_endpoint(health).agreement == agreement


def test_an_endpoint_that_is_not_ready_is_named_with_its_state_and_the_remedy(
    engine: FakeEngine,
) -> None:
    engine.variants["gguf-q8_0"].state = "starting"
    with pytest.raises(EndpointError, match=r"gguf-q8_0: is 'starting'.*make deploy-all"):
        read_health(engine.url, "gguf-q8_0")


def test_an_endpoint_that_is_awake_in_turns_is_not_measured(engine: FakeEngine) -> None:
    engine.variants["gguf-q8_0"].residency = "turns"
    with pytest.raises(EndpointError, match=r"takes turns.*`make compare` serves each alone"):
        read_health(engine.url, "gguf-q8_0")
    engine.variants["gguf-q8_0"].residency = "together"
    assert read_health(engine.url, "gguf-q8_0").state == "ready"


def test_an_endpoint_that_cannot_name_its_artifact_is_refused(engine: FakeEngine) -> None:
    engine.variants["gguf-q8_0"].artifact_sha256 = ""
    with pytest.raises(EndpointError, match="names no artifact_sha256"):
        read_health(engine.url, "gguf-q8_0")


def test_nobody_there_is_one_clear_error() -> None:
    with pytest.raises(EndpointError, match=r"bf16-vllm: no answer from http://127\.0\.0\.1:1/"):
        read_health("http://127.0.0.1:1", "bf16-vllm")


def test_an_ipv6_host_is_written_in_brackets() -> None:
    assert Serving(host="::1", port=80).url == "http://[::1]:80"
