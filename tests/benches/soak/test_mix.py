import json
from collections import Counter

import numpy as np

from loadtest.prompts import PromptSource
from services.http.request_body import MAX_BODY_BYTES
from tests.benches.soak.mix import BAD, Mix, PlannedRequest

IDS = np.arange(2, 500, dtype=np.int32)
PROMPTS = PromptSource(bos=1, ids=IDS, starts=IDS[:400] - 2)
VARIANTS = ("one", "two", "three")


def requests(count: int, seed: int = 0) -> list[PlannedRequest]:
    mix = Mix(VARIANTS, PROMPTS, ["Where was it? " * 50], 256, seed=seed)
    return [mix.next() for _ in range(count)]


def test_the_same_seed_asks_the_same() -> None:
    assert requests(300) == requests(300)
    assert requests(300) != requests(300, seed=1)


def test_every_variant_route_shape_and_mistake_comes_up() -> None:
    found = requests(4000)
    kinds = Counter(request.kind for request in found)
    assert {f"bad: {kind}" for kind in BAD} < kinds.keys()
    assert {"chat, stream", "chat, whole", "completion, stream", "completion, whole"} < kinds.keys()
    assert {"leaves, stream", "leaves, whole"} < kinds.keys()
    assert {request.variant for request in found} == set(VARIANTS)
    direct = sum(request.path.startswith(f"/{request.variant}/") for request in found)
    assert 0.4 < direct / len(found) < 0.6


def test_a_good_request_is_valid_and_says_how_many_tokens_are_due() -> None:
    for request in requests(500):
        if not request.kind.startswith(("chat", "completion")):
            continue
        body = json.loads(request.body)
        assert request.expected == {200}
        assert body["model"] == request.variant
        if "stop" in body:
            assert request.output_tokens is None
        else:
            assert request.output_tokens == body["max_tokens"] * body.get("n", 1)


def test_a_bad_request_is_due_its_own_refusal() -> None:
    for request in requests(2000):
        if request.kind == "bad: too large":
            assert len(request.body) > MAX_BODY_BYTES
            assert request.expected == {413}
        if request.kind == "bad: too long":
            body = json.loads(request.body)
            words = body.get("prompt") or body["messages"][0]["content"].split()
            assert len(words) > 256
            assert request.expected == {400}
