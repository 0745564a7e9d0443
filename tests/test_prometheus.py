"""A real Prometheus scrapes the running service, and every panel's query returns data.

covers: deploy/prometheus/alerts.yml, services/metrics/*.py
"""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.grafana.layout import DASHBOARDS
from deploy.grafana.panels import Panel
from deploy.plan import load_plan
from services.engines.table import ENGINES
from services.metrics.series import ENGINE, GPU, SERIES
from services.variants import find_variant
from tests.conftest import PLAN
from tests.deploy.prometheus.prometheus_tools import needs_prometheus, promtool
from tests.prometheus_server import Prometheus, running_prometheus, wait_for

pytestmark = pytest.mark.engine
VARIANTS = load_plan(str(PLAN)).variants
# So long that what the fixture asked of a variant is within it, however slow the machine is.
RATE_INTERVAL = "10m"
PANELS = [
    pytest.param(panel, id=f"{dashboard.uid}-{panel.title}".replace(" ", "-"))
    for dashboard in DASHBOARDS
    for row in dashboard.rows
    for panel in row.panels
]
HAS_GPU = shutil.which("nvidia-smi") is not None


@pytest.fixture(scope="module")
def prometheus(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, once it has scraped every variant before and after some requests."""
    with running_prometheus(service, tmp_path_factory.mktemp("prometheus")) as running:
        wait_for(lambda: _all_up(running), running.targets)
        with ThreadPoolExecutor(len(VARIANTS)) as pool:
            list(pool.map(lambda name: _use(service, name), VARIANTS))
        wait_for(lambda: _all_rose(running), lambda: running.query("assay_requests_total"))
        yield running


def _all_up(prometheus: Prometheus) -> bool:
    return {sample["metric"]["variant"] for sample in prometheus.query("up == 1")} == set(VARIANTS)


def _all_rose(prometheus: Prometheus) -> bool:
    """Whether Prometheus knows of every variant's requests by now."""
    asked = 'increase(assay_requests_total{status="400"}[10m]) > 0'
    return len(prometheus.query(asked)) == len(VARIANTS)


def _use(service: str, variant: str) -> None:
    """Ask a variant for a stream, for one answer in one piece, and for something impossible."""
    url, body = f"{service}/{variant}/v1/completions", {"model": variant, "prompt": "The capital"}
    httpx.post(url, json={**body, "max_tokens": 8, "stream": True}, timeout=120).raise_for_status()
    httpx.post(url, json={**body, "max_tokens": 8}, timeout=120).raise_for_status()
    assert httpx.post(url, json={**body, "temperature": -1}, timeout=120).status_code == 400


def _asked(expression: str, variant: str = "|".join(VARIANTS)) -> str:
    """What Grafana would ask with its variables replaced."""
    return expression.replace("$__rate_interval", RATE_INTERVAL).replace("$variant", variant)


@needs_prometheus
def test_every_variant_is_scraped_once_with_its_labels(prometheus: Prometheus) -> None:
    targets = {target["labels"]["variant"]: target for target in prometheus.targets()}
    assert len(prometheus.targets()) == len(VARIANTS)
    for name in VARIANTS:
        variant, target = find_variant(name), targets[name]
        assert target["labels"] == {
            "job": "assay",
            "instance": name,
            "variant": name,
            "recipe": variant.recipe.name,
            "engine": variant.engine.name,
        }
        assert target["scrapeUrl"].endswith(f"/{name}/metrics")
        assert target["lastError"] == ""


@needs_prometheus
@pytest.mark.parametrize("panel", PANELS)
def test_every_query_of_every_panel_returns_data_of_every_variant(
    prometheus: Prometheus, panel: Panel
) -> None:
    if panel.needs_gpu and not HAS_GPU:
        for query in panel.queries:
            assert prometheus.query(_asked(query.expr)) == []
        return
    for query in panel.queries:
        for name in VARIANTS:
            assert prometheus.query(_asked(query.expr, name)), _asked(query.expr, name)


@needs_prometheus
@pytest.mark.parametrize("name", [name for name in SERIES if name not in GPU])
def test_every_series_of_the_table_is_told_of_every_variant(
    prometheus: Prometheus, name: str
) -> None:
    sample = f"{name}_count" if SERIES[name].kind == "histogram" else name
    told = {found["metric"]["variant"] for found in prometheus.query(sample)}
    assert told == set(VARIANTS)


@needs_prometheus
def test_requests_and_tokens_are_counted_alike_for_every_engine(prometheus: Prometheus) -> None:
    for name in VARIANTS:
        mark = f'{{variant="{name}"}}'
        tokens = prometheus.query(f"assay_generation_tokens_total{mark}")
        assert float(tokens[0]["value"][1]) >= 16
        for histogram, times in (("assay_ttft_seconds", 1), ("assay_e2e_seconds", 2)):
            count = prometheus.query(f"{histogram}_count{mark}")
            assert float(count[0]["value"][1]) >= times


@needs_prometheus
def test_no_alert_is_raised_while_all_is_well(prometheus: Prometheus) -> None:
    assert len(prometheus.get("rules")["groups"][0]["rules"]) > 5
    raised = [a for a in prometheus.get("alerts")["alerts"] if a["state"] == "firing"]
    assert raised == []


@needs_prometheus
def test_the_series_under_our_own_names_pass_prometheus_lint(service: str) -> None:
    text = httpx.get(f"{service}/metrics", timeout=60).text
    own = [line for line in text.splitlines() if re.match(r"(# \w+ )?assay_", line)]
    promtool("check", "metrics", stdin="\n".join(own) + "\n")


def test_all_that_is_told_is_valid_and_of_one_variant_each(service: str) -> None:
    text = httpx.get(f"{service}/metrics", timeout=60).text
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(s.labels["variant"] in VARIANTS for family in families for s in family.samples)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_engines_own_names_are_those_that_its_spec_says(service: str, variant: str) -> None:
    text = httpx.get(f"{service}/{variant}/metrics", timeout=60).text
    told = set(re.findall(r"^([\w:]+)\{", text, re.MULTILINE))
    series = ENGINES[find_variant(variant).engine.name].series
    assert series.keys() == ENGINE.keys()
    assert {source for sources in series.values() for source in sources} <= told
