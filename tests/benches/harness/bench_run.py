"""One run of a benchmark: what it has measured so far, so that nothing of it is ever lost.

A benchmark measures cell by cell. A cell that raises is void: it is named with its reason, and the
others are measured all the same. What a stop or a fault of the benchmark itself cuts off keeps
what was measured before. Only a run of everything to its end writes ``<name>.json``; a selection,
or a run that was cut off, writes ``<name>-partial.json``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from tests.benches.harness import bench_figures
from tests.benches.harness.bench_figures import Figure, VoidCell, write_figures
from tests.benches.harness.bench_table import columns, figures_table

# What ends a cell and not the run: whatever services, engines, tools, clients and disks raise.
# Anything else is a fault of ours, and ends the run.
UNMEASURED = (RuntimeError, ValueError, OSError, aiohttp.ClientError, psutil.Error)
MET, MISSED, VOID = 0, 1, 3
CUT_OFF = "all that was still to come"


@dataclass(kw_only=True)
class BenchRun:
    """Figures and void cells as they come; ``more`` is what the file holds beside them.

    ``selection`` are the options that ask for less, or for something else, than a whole run.
    ``beside`` write further files, by how their names end (``-requests.parquet``).
    """

    name: str
    selection: Mapping[str, object]
    distributions: Sequence[str] = ()
    figures: list[Figure] = field(default_factory=list)
    void: list[VoidCell] = field(default_factory=list)
    more: dict[str, object] = field(default_factory=dict)
    beside: dict[str, Callable[[Path], None]] = field(default_factory=dict)
    cut_off: bool = False

    def say(self, line: str) -> None:
        """Tell the user at once."""
        print(line, flush=True)

    @contextmanager
    def cell(self, name: str) -> Iterator[None]:
        """Measure one cell in the block; what it raises makes the cell void and ends the block."""
        try:
            yield
        except UNMEASURED as error:
            self.leave_out(name, str(error) or repr(error))

    def leave_out(self, cell: str, reason: str) -> None:
        """Name a cell that could not be measured."""
        self.void.append(VoidCell(cell=cell, reason=reason))
        self.say(f"void: {cell}: {reason}")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write what was measured when the block ends, however it ends."""
        try:
            yield
        except BaseException as error:
            self.cut_off = True
            if self.figures or self.void:
                self.leave_out(CUT_OFF, str(error) or type(error).__name__)
            raise
        finally:
            if self.figures or self.void:
                self._close()

    def _close(self) -> None:
        bounded = [figure for figure in self.figures if figure.limit is not None]
        if bounded:
            self.say(f"\n{figures_table(bounded)}")
        if self.void:
            self.say("\n" + columns(("void", "reason"), [(v.cell, v.reason) for v in self.void]))
        more = {"selection": dict(self.selection)} if self.selection else {}
        write_figures(self.path, self.figures, self.void, self.distributions, self.more | more)
        for ending, write in self.beside.items():
            write(self.path.with_name(f"{self.path.stem}{ending}"))
        missed = [figure.name for figure in bounded if not figure.met]
        self.say(f"\nlimits not met: {'; '.join(missed) or 'none'}; void: {len(self.void)}")
        self.say(f"written to {self.path}")

    @property
    def path(self) -> Path:
        """Where the figures go."""
        whole = not self.selection and not self.cut_off
        return bench_figures.BENCH_DIR / f"{self.name}{'' if whole else '-partial'}.json"

    @property
    def exit_code(self) -> int:
        """``MISSED`` where a limit is missed, or else ``VOID`` where a cell is, or else ``MET``."""
        if any(figure.met is False for figure in self.figures):
            return MISSED
        return VOID if self.void else MET
