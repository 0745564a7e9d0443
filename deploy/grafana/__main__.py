"""``python -m deploy.grafana``: write the dashboards' JSON anew, after panels were changed."""

import json
from pathlib import Path

from deploy.grafana.layout import DASHBOARDS, Dashboard, dashboard_json
from quantize.jobs.whole_file import write_whole

FOLDER = Path(__file__).parent / "dashboards"


def file_of(dashboard: Dashboard) -> Path:
    """Where a dashboard's JSON stands, for Grafana to find."""
    return FOLDER / f"{dashboard.uid}.json"


def text_of(dashboard: Dashboard) -> str:
    """The content of that file."""
    return json.dumps(dashboard_json(dashboard), indent=1) + "\n"


def main() -> None:
    """Write every dashboard."""
    for dashboard in DASHBOARDS:
        path = file_of(dashboard)
        write_whole(path, text_of(dashboard))
        print(path)


if __name__ == "__main__":
    main()
