"""A folder of small tasks as lm-eval reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_tasks(
    folder: Path, rows: Mapping[str, Sequence[Any]], specific: Mapping[str, str]
) -> None:
    """Each task's items, and its file: what all such have, then what is ``specific`` to it."""
    for name, items in rows.items():
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(item) + "\n" for item in items))
        (folder / f"{name}.yaml").write_text(
            f"task: {name}\ndataset_path: json\ntest_split: test\n"
            f"dataset_kwargs: {{data_files: {{test: {data}}}}}\n{specific[name]}"
        )
