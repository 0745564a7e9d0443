"""What the servers told of themselves under load: one row per variant and load point."""

from collections.abc import Callable

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Table, load_row, missing, table_of
from loadtest.load_file import ServerLoad
from loadtest.server_window import ServerWindow

_UNTOLD = "the engine does not tell"


def server_table(run: Run, marks: dict[str, Mark]) -> Table | None:
    """None where no server told anything."""
    rows = [
        load_row(variant.variant, load.point, marks, _cells(server))
        for variant in run.variants
        for load in run.loads(variant)
        if (server := load.server) is not None
    ]
    columns = (
        Column(title="Variant", numeric=False),
        Column(title="Load"),
        Column(title="Running", note="requests, most below"),
        Column(title="Waiting", note="requests, most below"),
        Column(title="KV cache", note="in use, most below"),
        Column(title="Reused", note="of the prompt tokens"),
        Column(title="Generated", note="tokens a second"),
        Column(title="Processors", note="kept busy"),
        Column(title="Memory"),
    )
    return table_of(columns, rows)


def _cells(server: ServerLoad) -> tuple[Cell, ...]:
    told = server.window or ServerWindow(looks=0)
    return (
        _figure(told.running, formats.significant, told.most_running),
        _figure(told.waiting, formats.significant, told.most_waiting),
        _figure(told.kv_used, formats.percent, told.most_kv_used),
        _figure(told.reused, formats.percent),
        _figure(told.generated_tok_per_s, formats.significant),
        _figure(server.cores, formats.significant, why="its processes are not known here"),
        _figure(told.memory_bytes, formats.size),
    )


def _figure(
    value: float | None,
    write: Callable[[float], str],
    most: float | None = None,
    *,
    why: str = _UNTOLD,
) -> Cell:
    if value is None:
        return missing(why)
    detail = "" if most is None else f"{write(most)} most"
    return Cell(text=write(value), value=value, detail=detail)
