"""Typed values survive their way through JSON; both sides need nothing beyond Python.

covers: quantize/jobs/job_server.py
"""

import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from quantize.jobs.wire import plain, receive, send, typed
from quantize.root import ROOT


class Model(BaseModel):
    path: Path
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Inner:
    path: Path
    ids: list[int]


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    more: tuple[Inner, ...]
    by_name: Mapping[str, Inner]
    anything: Mapping[str, Any]
    proof: Path | None
    kind: Literal["a", "b"]
    parameter: int | str
    model: Model | None = None


INNER = Inner(path=Path("/a"), ids=[1, 2])
OUTER = Outer(
    inner=INNER,
    more=(INNER, INNER),
    by_name={"x": INNER},
    anything={"bits": 4, "deep": {"list": [1, None]}},
    proof=None,
    kind="a",
    parameter="x",
    model=Model(path=Path("/b"), values=(0.1, 2.0)),
)


@pytest.mark.parametrize("value", [OUTER, INNER, Model(path=Path("c"), values=())])
def test_a_value_comes_back_as_it_was(value: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, plain(value))
        message = receive(theirs)
    assert message is not None
    assert typed(type(value), message[0]) == value


def test_other_fields_are_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        typed(Inner, {"path": "/a", "ids": [], "other": 1})


def test_open_files_come_with_their_message_alone(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "log").open("wb") as log:
        send(ours, {"number": 1}, [log.fileno()])
        send(ours, {"number": 2})
        first, second = receive(theirs), receive(theirs)
    assert first is not None
    assert second is not None
    with open(first[1][0], "wb") as received:
        received.write(b"x")
    assert (tmp_path / "log").read_bytes() == b"x"
    assert (first[0], second) == ({"number": 1}, ({"number": 2}, []))


def test_a_closed_channel_and_half_a_message_are_no_message() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"\0\0\0\0\0\0\0\5hal")
        ours.close()
        assert receive(theirs) is None


def test_both_sides_of_a_job_need_the_standard_library_alone() -> None:
    code = (
        "import sys, quantize.jobs.job_server, quantize.jobs.lifeline, quantize.jobs.lock\n"
        "import quantize.jobs.environment, quantize.jobs.worker, quantize.jobs.whole_file\n"
        "ours = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(*sorted(ours - {'__main__', 'sitecustomize', 'usercustomize'}))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["quantize"]
