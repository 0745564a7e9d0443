"""Makes the general texts from what was written for them: to calibrate on, and to measure by.

    python -m quantize.calibration.general_text   # standard library only

``authored/*.txt`` hold the documents, separated by lines of ``%%``; ``chats.txt`` marks whose turn
it is by lines such as ``@user``. Every fourth document of a file is held out: the task
``assay_general_text`` asks how likely it is, and no recipe is calibrated on it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from quantize.calibration.calibration_set import GENERAL_TEXT, plain_chat
from quantize.calibration.templated import templated_rows
from quantize.root import ROOT

AUTHORED = ROOT / "quantize" / "calibration" / "authored"
HELD_OUT_TEXT = ROOT / "eval" / "tasks" / "data" / "assay_general_text.jsonl"
SEED = "general text"
HELD_OUT_EVERY = 4
_SEPARATOR = "\n%%\n"
_ROLES = ("system", "user", "assistant", "tool")

Row = dict[str, Any]


def authored_rows(path: Path) -> list[Row]:
    """The documents of a file, in its order."""
    documents = path.read_text(encoding="utf-8").strip("\n").split(_SEPARATOR)
    if path.stem == "chats":
        return [{"kind": path.stem, **read_chat(document)} for document in documents]
    return [{"kind": path.stem, "text": document} for document in documents]


def read_chat(document: str) -> Row:
    """``messages``, and ``tools`` where the chat has them, of a marked-up chat."""
    found: Row = {"messages": []}
    for mark, content in _turns(document):
        if mark == "tools":
            found["tools"] = json.loads(content)
        elif mark == "call":
            call = {"type": "function", "function": json.loads(content)}
            found["messages"].append({"role": "assistant", "content": "", "tool_calls": [call]})
        elif mark in _ROLES:
            found["messages"].append({"role": mark, "content": content})
        else:
            raise ValueError(f"a chat is marked @{mark}")
    return found


def _turns(document: str) -> Iterator[tuple[str, str]]:
    mark, lines = "", list[str]()
    for line in document.split("\n"):
        if line.startswith("@") and line[1:].isalpha():
            if mark:
                yield mark, "\n".join(lines)
            mark, lines = line[1:], []
        else:
            lines.append(line)
    yield mark, "\n".join(lines)


def split_rows() -> tuple[list[Row], list[Row]]:
    """What is calibrated on, in an order drawn by the seed, and what is held out."""
    kept: list[Row] = []
    held: list[Row] = []
    for path in sorted(AUTHORED.glob("*.txt")):
        for index, row in enumerate(authored_rows(path)):
            (held if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else kept).append(row)
    kept += templated_rows(SEED)
    Random(SEED).shuffle(kept)
    return kept, held


def held_out_rows(rows: Iterable[Row]) -> list[Row]:
    """The held-out documents as a task's items: plain text."""
    return [
        {
            "id": f"general-text-{index:04d}",
            "kind": row["kind"],
            "text": row["text"] if "text" in row else plain_chat(row["messages"]),
        }
        for index, row in enumerate(rows)
    ]


def data_files() -> dict[Path, list[Row]]:
    """Both files and their rows."""
    kept, held = split_rows()
    return {GENERAL_TEXT: kept, HELD_OUT_TEXT: held_out_rows(held)}


def as_jsonl(rows: Iterable[Row]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    for target, rows in data_files().items():
        target.write_text(as_jsonl(rows), encoding="utf-8")
        print(f"{target.name}: {len(rows)} documents, {target.stat().st_size / 1e3:.0f} kB")
