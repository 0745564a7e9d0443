"""Expositions of many engines become one."""

from services.metrics import label_variant, merge_expositions

ONE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="a"} 3
"""


def test_every_sample_is_labelled_by_its_variant() -> None:
    text = label_variant(ONE, "bf16-vllm").decode()
    assert 'requests_total{route="a",variant="bf16-vllm"} 3.0' in text


def test_families_of_one_name_are_joined_under_one_header() -> None:
    parts = [label_variant(ONE, name).decode() for name in ("a-vllm", "b-vllm")]
    merged = merge_expositions(parts).decode()
    assert merged.count("# TYPE requests_total counter") == 1
    assert 'variant="a-vllm"' in merged
    assert 'variant="b-vllm"' in merged


def test_nothing_gives_nothing() -> None:
    assert merge_expositions([]) == b""
