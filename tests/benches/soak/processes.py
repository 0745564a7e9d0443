"""Memory, descriptors and threads of every process of a deployment, every few seconds."""

import re
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from deploy.service import ServiceRecord, processes_of
from quantize.jobs.whole_file import writing

_REPLICA = re.compile(r"^ray::ServeReplica:([^:]+)")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one moment, ``at_s`` seconds after the load began.

    ``born`` (seconds since the epoch) tells two processes of the same pid apart. PSS counts a
    page shared by n processes as 1/n of it, RSS as a whole one.
    """

    at_s: float
    pid: int
    born: float
    role: str
    pss_bytes: int
    rss_bytes: int
    descriptors: int
    threads: int


def title(command: Sequence[str]) -> str:
    """What a command line calls the process: its Ray title, its module, its script or program."""
    words = [word for word in command if word]
    if not words:
        return "?"
    if words[0].startswith("ray::"):
        # While an actor runs a method, its title has its own name before and the method behind.
        idle = re.sub(r"^ray::\w+::.*?:(?=[A-Z])", "ray::", words[0].split(" ")[0])
        return re.sub(r"\.[a-z_]+$", "", idle)
    if found := re.match(r"from ([\w.]+) import", words[-1]):
        return found[1]
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    programs = [word for word in words[1:] if not word.startswith("-")]
    is_python = Path(words[0]).name.startswith("python")
    return Path(programs[0] if is_python and programs else words[0].split(" ")[0]).name


def role(command: Sequence[str], ancestors: Iterable[Sequence[str]]) -> str:
    """A process's part in the deployment; ``ancestors`` are command lines, the parent's first.

    What a variant's replica has started is named after the variant.
    """
    own = title(command)
    for ancestor in ancestors:
        if found := _REPLICA.match(title(ancestor)):
            return f"{found[1]}: {own.rpartition('.')[2] if '::' not in own else own}"
    return own.removeprefix("ray::")


def _sample(process: psutil.Process, at_s: float) -> Sample | None:
    """One process now; None when it has just ended."""
    try:
        memory = process.memory_full_info()
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Sample(
            at_s=at_s,
            pid=process.pid,
            born=process.create_time(),
            role=role(process.cmdline(), [parent.cmdline() for parent in process.parents()]),
            pss_bytes=int(memory.pss),
            rss_bytes=int(memory.rss),
            descriptors=process.num_fds(),
            threads=process.num_threads(),
        )
    except psutil.Error:
        return None


class Sampler:
    """Samples in a thread of its own while its ``with`` block runs; what fails there is raised at
    the block's end.
    """

    def __init__(self, record: ServiceRecord, interval_s: float) -> None:
        self.samples: list[Sample] = []
        self._record = record
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sampler")

    def __enter__(self) -> "Sampler":
        self._began = time.monotonic()
        self._sampling = self._executor.submit(self._watch)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        with self._executor:
            if kind is None:
                self._sampling.result()

    def _watch(self) -> None:
        due = self._began
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += self._interval_s
            self.samples += self.now()

    def now(self) -> list[Sample]:
        """All processes of the deployment at this moment."""
        at_s = time.monotonic() - self._began
        found = processes_of(self._record.deployment, self._record.ray_folder)
        taken = [_sample(process, at_s) for process in found]
        return [sample for sample in taken if sample is not None]


_SCHEMA = pa.schema(
    [
        ("at_s", pa.float64()),
        ("pid", pa.int64()),
        ("born", pa.float64()),
        ("role", pa.string()),
        ("pss_bytes", pa.int64()),
        ("rss_bytes", pa.int64()),
        ("descriptors", pa.int64()),
        ("threads", pa.int64()),
    ]
)


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write all samples to a parquet file, whole or not at all."""
    rows = [asdict(sample) for sample in samples]
    with writing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary)
