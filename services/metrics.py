"""Re-expose the engines' own Prometheus series under one roof, each labelled by its variant."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def label_variant(exposition: str, variant: str) -> bytes:
    """The same exposition with the label ``variant`` on every sample."""
    return _expose(text_string_to_metric_families(exposition), {"variant": variant})


def merge_expositions(expositions: Iterable[str]) -> bytes:
    """One exposition out of many; families of one name are joined, as the format demands."""
    families = (family for text in expositions for family in text_string_to_metric_families(text))
    return _expose(families, {})


def _expose(families: Iterable[Metric], labels: dict[str, str]) -> bytes:
    joined: dict[str, Metric] = {}
    for family in families:
        empty = Metric(family.name, family.documentation, family.type)
        target = joined.setdefault(family.name, empty)
        for sample in family.samples:
            target.samples.append(sample._replace(labels={**sample.labels, **labels}))
    return bytes(generate_latest(_Families(joined.values())))
