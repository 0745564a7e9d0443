"""Prometheus is told of every variant, under the address it asked for."""

from services.metrics.discovery import targets

NAMES = ("bf16-vllm", "gguf-q4_k_m")


def test_every_variant_is_one_target_with_its_recipe_and_engine() -> None:
    found = targets([(b"host", b"assay:8000")], NAMES, "127.0.0.1:8000")
    assert found == [
        {
            "targets": ["assay:8000"],
            "labels": {
                "__metrics_path__": f"/{name}/metrics",
                "variant": name,
                "recipe": recipe,
                "engine": engine,
            },
        }
        for name, recipe, engine in [
            ("bf16-vllm", "bf16", "vllm"),
            ("gguf-q4_k_m", "gguf-q4_k_m", "llamacpp"),
        ]
    ]


def test_a_request_without_a_host_is_told_the_services_own_address() -> None:
    assert targets([], NAMES[:1], "127.0.0.1:8000")[0]["targets"] == ["127.0.0.1:8000"]


def test_the_options_of_a_variant_do_not_hide_what_it_is() -> None:
    labels = targets([], ["bf16-vllm-kv-fp8"], "a:1")[0]["labels"]
    assert (labels["variant"], labels["recipe"]) == ("bf16-vllm-kv-fp8", "bf16")
