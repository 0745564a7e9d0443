"""The dashboards' JSON: current, whole, and of series that exist.

covers: deploy/grafana/__main__.py, deploy/grafana/compare.py, deploy/grafana/dashboards/*.json,
deploy/grafana/layout.py, deploy/grafana/one_variant.py, deploy/grafana/panels.py
"""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import FOLDER, file_of, main, text_of
from deploy.grafana.layout import COLUMNS, DASHBOARDS, DATA_SOURCE, Dashboard, dashboard_json
from services.metrics.series import GPU, SERIES

PROVISIONING = FOLDER.parent / "provisioning"
each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda item: item.uid)


def panels_of(dashboard: Dashboard) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = dashboard_json(dashboard)["panels"]
    return panels


def expressions(dashboard: Dashboard) -> list[str]:
    return [target["expr"] for panel in panels_of(dashboard) for target in panel.get("targets", ())]


def series_in(expression: str) -> set[str]:
    """The SERIES rows that an expression asks for; a name that is none stays as it stands."""
    found = set(re.findall(r"\bassay_\w+", expression))
    return {name.removesuffix("_bucket") if name not in SERIES else name for name in found}


@each_dashboard
def test_the_file_that_grafana_reads_is_current(dashboard: Dashboard) -> None:
    assert file_of(dashboard).read_text() == text_of(dashboard), "run `python -m deploy.grafana`"


def test_there_is_no_other_file_for_grafana_to_read() -> None:
    assert set(FOLDER.iterdir()) == {file_of(dashboard) for dashboard in DASHBOARDS}


def test_writing_them_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.grafana.__main__.FOLDER", tmp_path)
    main()
    assert {path.name for path in tmp_path.iterdir()} == {f"{d.uid}.json" for d in DASHBOARDS}


@each_dashboard
def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: Dashboard) -> None:
    panels = panels_of(dashboard)
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        columns = range(place["x"], place["x"] + place["w"])
        cells = set(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
        assert columns.stop <= COLUMNS
        assert not cells & taken
        taken |= cells


@each_dashboard
def test_every_panel_asks_the_provisioned_data_source(dashboard: Dashboard) -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text())
    [source] = sources["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == DATA_SOURCE
    for panel in panels_of(dashboard):
        if panel["type"] != "row":
            assert panel["datasource"] == DATA_SOURCE
            assert panel["targets"]
            assert all(target["datasource"] == DATA_SOURCE for target in panel["targets"])
            names = [target["refId"] for target in panel["targets"]]
            assert len(set(names)) == len(names)


@each_dashboard
def test_every_series_that_is_shown_is_one_that_is_told(dashboard: Dashboard) -> None:
    for expression in expressions(dashboard):
        assert series_in(expression), expression
        assert series_in(expression) <= SERIES.keys(), expression
        assert 'variant=~"$variant"' in expression


@each_dashboard
def test_every_variable_is_declared(dashboard: Dashboard) -> None:
    page = dashboard_json(dashboard)
    declared = {variable["name"] for variable in page["templating"]["list"]}
    text = json.dumps([panel.get("targets") for panel in page["panels"]])
    assert {name for name in re.findall(r"\$(\w+)", text) if not name.startswith("__")} == declared
    [variable] = page["templating"]["list"]
    assert series_in(variable["query"]["query"]) <= SERIES.keys()


@each_dashboard
def test_only_the_panels_of_a_gpu_ask_for_one(dashboard: Dashboard) -> None:
    for row in dashboard.rows:
        for panel in row.panels:
            asked = {name for query in panel.queries for name in series_in(query.expr)}
            assert bool(asked & GPU.keys()) == panel.needs_gpu


def test_a_line_of_the_comparison_leads_to_the_page_of_its_variant() -> None:
    compare, one = DASHBOARDS
    [link] = panels_of(compare)[1]["fieldConfig"]["defaults"]["links"]
    assert link["url"].startswith(f"/d/{one.uid}?var-variant=")


def test_the_provider_finds_the_dashboards_where_they_are_mounted() -> None:
    content = yaml.safe_load((PROVISIONING / "dashboards/assay.yaml").read_text())
    [provider] = content["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
