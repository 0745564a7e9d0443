"""Expositions of many engines become one, as text."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.metrics.exposition import label_variant, merge_expositions, read_values

ONE = """# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="a"} 3
# HELP up Whether it answers {at all}.
# TYPE up gauge
up 1.0
# TYPE odd gauge
odd{} 2
odd{path="/x{y} z",quote="\\"}"} 4e-3 1700000000000
"""


def samples(exposition: str) -> list[tuple[str, dict[str, str], float]]:
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    ]


def test_every_sample_is_labelled_by_its_variant_and_nothing_else_changes() -> None:
    before, after = samples(ONE), samples(label_variant(ONE, "bf16-vllm"))
    assert after == [(n, {**labels, "variant": "bf16-vllm"}, value) for n, labels, value in before]
    assert len(after) == 4


def test_families_of_one_name_are_joined_under_one_header() -> None:
    parts = [label_variant(ONE, name) for name in ("a-vllm", "b-vllm")]
    merged = merge_expositions(parts).decode()
    assert merged.count("# TYPE requests_total counter") == 1
    assert merged.count("# HELP requests_total") == 1
    assert sorted(map(str, samples(merged))) == sorted(
        str(sample) for part in parts for sample in samples(part)
    )


def test_a_family_stays_in_one_piece() -> None:
    parts = [label_variant(ONE, name) for name in ("a-vllm", "b-vllm")]
    lines = merge_expositions(parts).decode().splitlines()
    at = [index for index, line in enumerate(lines) if line.startswith("requests_total")]
    assert at == [2, 3]


def test_nothing_gives_nothing() -> None:
    assert merge_expositions([]) == b""
    assert merge_expositions(["", ""]) == b""


@pytest.mark.parametrize(
    ("name", "values"), [("requests_total", [3]), ("up", [1]), ("odd", [2, 0.004]), ("other", None)]
)
def test_single_values_are_read_whatever_their_labels_hold(
    name: str, values: list[float] | None
) -> None:
    assert read_values(ONE, {name}).get(name) == values
