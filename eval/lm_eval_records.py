"""What lm-eval itself would have written of a pass, in its own format, beside our samples.

``lm-eval/samples_<task>.jsonl`` holds a row per item and filter, as ``--log_samples`` writes them;
``lm-eval/results.json`` what ``--output_path`` does. A pass that is asked in blocks adds rows, and
its figures are formed anew of all of them, by the task's own aggregations.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, sanitize_list

from quantize.jobs.whole_file import write_whole

Row = dict[str, Any]
# What lm-eval's answer holds beside the results of single tasks.
_BY_TASK = ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples")


def folder_of(samples: Path) -> Path:
    """Where the records of the pass lie whose samples are there."""
    return samples.with_name(samples.stem.replace("samples", "lm-eval", 1))


class Records:
    """The records of one pass; those that were there are ``kept``, or forgotten."""

    def __init__(self, samples: Path, *, kept: bool) -> None:
        self.folder = folder_of(samples)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not kept:
            for path in self.folder.iterdir():
                path.unlink()

    def add(self, task: str, result: Mapping[str, Any], asked: Any, *, whole: bool) -> None:
        """Keep what lm-eval said of a task, or of a stretch of it that joins the earlier ones."""
        rows = [plain(row) for row in result["samples"][task]]
        path = self.folder / f"samples_{task}.jsonl"
        if not whole:
            rows = joined(read_rows(path), rows)
        write_whole(path, "".join(f"{_json(row)}\n" for row in rows))
        told = {name: value for name, value in result.items() if name != "samples"}
        if not whole:
            told["results"] = {task: {**told["results"][task], **figures_of(rows, asked)}}
            told["n-samples"] = {task: {**told["n-samples"][task], "effective": _items(rows)}}
        self._keep(told)

    def figures(self, task: str) -> Mapping[str, Any]:
        """lm-eval's figures of a task that was added."""
        figures: Mapping[str, Any] = self._told()["results"][task]
        return figures

    def _told(self) -> dict[str, Any]:
        path = self.folder / "results.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def _keep(self, told: dict[str, Any]) -> None:
        before = self._told()
        merged = {name: {**before.get(name, {}), **told.get(name, {})} for name in _BY_TASK}
        content = _json({**before, **told, **merged}, indent=2)
        write_whole(self.folder / "results.json", content)


def plain(row: Mapping[str, Any]) -> Row:
    """A row as lm-eval logs it, of what JSON knows."""
    arguments = {
        f"gen_args_{number}": {f"arg_{place}": value for place, value in enumerate(found)}
        for number, found in enumerate(row["arguments"])
    }
    return {
        **copy.deepcopy(dict(row)),
        "arguments": arguments,
        "resps": sanitize_list(row["resps"]),
        "filtered_resps": sanitize_list(row["filtered_resps"]),
        "target": str(row["target"]),
    }


def read_rows(path: Path) -> list[Row]:
    """The rows of a task; none where it was not asked yet."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def joined(earlier: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """All rows in lm-eval's order; of an item that stands twice, those of ``new``."""
    found = {(row["filter"], row["doc_id"]): row for row in (*earlier, *new)}
    filters = list(dict.fromkeys(row["filter"] for row in (*earlier, *new)))
    return sorted(found.values(), key=lambda row: (filters.index(row["filter"]), row["doc_id"]))


def figures_of(rows: Sequence[Row], task: Any) -> dict[str, Any]:
    """Each metric of each filter over all rows, as lm-eval forms it."""
    values: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        for metric in row["metrics"]:
            values.setdefault((metric, row["filter"]), []).append(row[metric])
    known = task.aggregation()
    figures = {
        f"{metric},{name}": known[metric](found)
        for (metric, name), found in values.items()
        if metric in known
    }
    return {**figures, "sample_len": _items(rows)}


def _items(rows: Sequence[Row]) -> int:
    return len({row["doc_id"] for row in rows})


def _json(content: Any, indent: int | None = None) -> str:
    return json.dumps(content, default=handle_non_serializable, ensure_ascii=False, indent=indent)
