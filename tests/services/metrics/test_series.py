"""One table of series for all engines."""

import re

import pytest

from services.engines.spec import EngineSpec
from services.engines.table import ENGINES
from services.metrics.series import ENGINE, SERIES, TRAFFIC, Series
from services.metrics.traffic import Traffic


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_every_engine_says_where_it_tells_every_series_asked_of_it(engine: EngineSpec) -> None:
    assert engine.series.keys() == ENGINE.keys()
    assert all(sources for sources in engine.series.values())
    for name, sources in engine.series.items():
        counters = [source for source in sources if source.endswith("_total")]
        assert counters == (list(sources) if ENGINE[name].kind == "counter" else [])


@pytest.mark.parametrize("row", SERIES.values(), ids=SERIES)
def test_names_follow_prometheus_conventions(row: Series) -> None:
    assert re.fullmatch(r"assay_[a-z0-9_]+", row.name)
    assert row.name.endswith("_total") == (row.kind == "counter")
    assert bool(row.buckets) == (row.kind == "histogram")
    assert row.buckets == tuple(sorted(row.buckets))


def test_the_relay_tells_its_part_of_the_table() -> None:
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in Traffic().registry.collect()
    }
    assert families.keys() == TRAFFIC.keys()
    for name, family in families.items():
        assert (family.type, family.documentation) == (TRAFFIC[name].kind, TRAFFIC[name].text)
