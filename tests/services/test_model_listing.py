"""A variant as a model: what it is made of, and what its health tells."""

from services.model_listing import model_entry
from services.variants import find_variant


def test_a_variant_that_is_up_tells_its_bits_and_its_context() -> None:
    health = {"state": "ready", "bits_per_weight": 8.5, "limits": {"context_length": 256}}
    entry = model_entry(find_variant("gguf-q8_0"), health)
    assert (entry["id"], entry["object"], entry["engine"]) == ("gguf-q8_0", "model", "llamacpp")
    assert (entry["bits"], entry["max_model_len"], entry["state"]) == (8.5, 256, "ready")


def test_one_that_is_not_is_a_model_all_the_same() -> None:
    entry = model_entry(find_variant("bf16-vllm"), {"state": "stopped"})
    assert (entry["recipe"], entry["bits"], entry["max_model_len"]) == ("bf16", None, None)
