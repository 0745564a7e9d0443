"""Panels as Grafana's dashboard JSON: the grid, the data source, the variable, the links.

The model is that of Grafana's documentation, "JSON model" of a dashboard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.grafana.compare import COMPARE
from deploy.grafana.one_variant import ONE_VARIANT
from deploy.grafana.panels import Panel, Row

SCHEMA_VERSION = 39
COLUMNS = 24
PANEL_HEIGHT = 8
LOW_HEIGHT = 5
DATA_SOURCE = {"type": "prometheus", "uid": "assay-prometheus"}
# The shortest that a rate over two scrapes of prometheus.yml's interval can span.
MIN_INTERVAL = "5s"


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """One page; ``many`` lets its reader choose several variants at once."""

    uid: str
    title: str
    rows: tuple[Row, ...]
    many: bool


DASHBOARDS = (
    Dashboard(uid="assay-compare", title="Assay: compare variants", rows=COMPARE, many=True),
    Dashboard(uid="assay-variant", title="Assay: one variant", rows=ONE_VARIANT, many=False),
)


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """The whole page."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["assay"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "Assay",
                "tags": ["assay"],
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_variable(dashboard.many)]},
        "panels": list(_placed(dashboard)),
    }


def _variable(many: bool) -> dict[str, Any]:
    query = "label_values(assay_variant_info, variant)"
    chosen: dict[str, Any] = {"current": {"text": "All", "value": "$__all"}} if many else {}
    return {
        "name": "variant",
        "label": "variant",
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": {"query": query, "refId": "variants"},
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        **chosen,
    }


def _placed(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Rows from top to bottom, their panels from left to right, in lines of 24 columns."""
    number, y = 0, 0
    for row in dashboard.rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            "panels": [],
        }
        y += 1
        for line in _lines(row.panels):
            x, height = 0, max(_height(panel) for panel in line)
            for panel in line:
                number += 1
                place = {"x": x, "y": y, "w": panel.width, "h": height}
                yield _panel(panel, number, place, linked=dashboard.many)
                x += panel.width
            y += height


def _height(panel: Panel) -> int:
    return LOW_HEIGHT if panel.kind in {"stat", "state-timeline"} else PANEL_HEIGHT


def _lines(panels: Sequence[Panel]) -> list[list[Panel]]:
    lines: list[list[Panel]] = []
    for panel in panels:
        if not lines or sum(other.width for other in lines[-1]) + panel.width > COLUMNS:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _panel(panel: Panel, number: int, place: dict[str, int], *, linked: bool) -> dict[str, Any]:
    heatmap = {"format": "heatmap"} if panel.kind == "heatmap" else {}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": DATA_SOURCE,
        "interval": MIN_INTERVAL,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATA_SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": True,
                **heatmap,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel, linked=linked), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel, *, linked: bool) -> dict[str, Any]:
    link = {
        "title": "Show ${__field.labels.variant} alone",
        "url": "/d/assay-variant?var-variant=${__field.labels.variant}&${__url_time_range}",
    }
    top = {} if panel.most is None else {"max": panel.most}
    return {"unit": panel.unit, "min": 0, **top, "links": [link] if linked else []}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"scheme": "Oranges"}}
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
    return {"showValue": "never", "mergeValues": True, "legend": {"showLegend": False}}
