"""Make the explorer's folder for one model: figures, page and pictures, whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.drawing.picture import png
from eval.explore.explorer_figures import FIGURES_NAME, ExploreError, Figures, read_figures
from eval.explore.explorer_page import PAGE_NAME, pictures, render
from eval.explore.figures_job import FIGURES, FiguresRequest
from quantize.artifact.manifest import sha256_of_file
from quantize.artifact_paths import model_directory
from quantize.calibration.calibration_set import TEXTS, read_texts
from quantize.jobs.environment import installed_version, tool_variables
from quantize.jobs.progress import ProgressLine
from quantize.jobs.workbench import locked, making
from quantize.jobs.worker import run_job
from quantize.model_source import prepared
from quantize.source.published import published_of
from quantize.source.source_model import SourceModel, check_finite
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of, what_changed

FOLDER = "explore"
_LIBRARIES = ("torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class ExploreOrder:
    """Which model, on which text (a JSONL file), into which folder (None: beside its artifacts)."""

    model: SourceModel
    calibration: Path
    artifacts: Path
    output: Path | None
    threads: int

    @property
    def directory(self) -> Path:
        """The folder that is made."""
        return self.output or model_directory(self.artifacts, self.model) / FOLDER


def explore(order: ExploreOrder, say: Callable[[str], None]) -> Path:
    """Measure, draw and write; what is there and made from the same inputs is reused.

    Blocks while another process makes the same folder; ``say`` receives one line. Returns the
    page's path.

    Raises:
        ExploreError: the output folder holds something else.
        ValueError: the model or the text is at fault.
        ToolError: a step failed.
        OSError: the folder cannot be written; nothing unfinished is left.
    """
    published = published_of(order.model)
    if published is not None and published.alone:
        raise ExploreError(
            f"{published.published.name} has no 16-bit weights of which a format keeps something"
        )
    directory = order.directory
    _refuse_foreign(directory)
    source = prepared(order.model, order.artifacts)
    made_from = _made_from(order)
    with locked(directory, lambda: say(f"{FOLDER:<16} waiting: another process is at it")) as lock:
        stored = _stored(directory)
        valid = stored is not None and stored.inputs_sha256 == key_of(made_from)
        figures = stored if valid else None
        if figures is not None and _is_drawn(directory, figures):
            say(f"{FOLDER:<16} reused           {directory / PAGE_NAME}")
            return directory / PAGE_NAME
        if figures is None:
            check_finite(source.reading)
            read_texts(order.calibration)
        log = directory.parent / f"{directory.name}.log"
        log.write_bytes(b"")
        with making(directory) as bench, ProgressLine(FOLDER) as progress:
            if figures is None:
                progress("starting")
                figures = _measure(order, source.folder, made_from, log, lock, progress)
                content = figures.model_dump_json(indent=1) + "\n"
                (bench.output / FIGURES_NAME).write_text(content, encoding="utf-8")
                what = f"made in {figures.seconds:.1f} s"
            else:
                (bench.output / FIGURES_NAME).write_bytes((directory / FIGURES_NAME).read_bytes())
                what = "drawn anew"
            progress("drawing")
            _draw(figures, bench.output)
        log.unlink()
    line = f"{FOLDER:<16} {what:<16} {directory / PAGE_NAME}"
    outdated = what_changed(stored.made_from, made_from) if stored and not valid else None
    say(f"{line}  (made anew: {outdated})" if outdated else line)
    return directory / PAGE_NAME


def _refuse_foreign(directory: Path) -> None:
    """Never replace a folder that the explorer has not made."""
    if directory.is_file() or (
        directory.is_dir() and any(directory.iterdir()) and not (directory / FIGURES_NAME).is_file()
    ):
        raise ExploreError(f"{directory} holds something else; give a new or an empty folder")


def _made_from(order: ExploreOrder) -> dict[str, str]:
    """What decides the figures; whatever only draws them may change without new measurements."""
    assert FIGURES.environment is not None
    versions = (f"{name} {installed_version(FIGURES.environment, name)}" for name in _LIBRARIES)
    return parts_of(
        model=order.model.sha256,
        text=sha256_of_file(order.calibration),
        libraries=" ".join(versions),
        code=code_sha256(FIGURES.module),
    )


def _stored(directory: Path) -> Figures | None:
    try:
        return read_figures(directory)
    except ExploreError:
        return None


def _is_drawn(directory: Path, figures: Figures) -> bool:
    """Whether page and pictures are there and as today's code draws them."""
    page = directory / PAGE_NAME
    names = {f"{name}.png" for name in pictures(figures)}
    return (
        page.is_file()
        and page.read_text(encoding="utf-8") == render(figures)
        and names == {path.name for path in directory.glob("*.png")}
    )


def _measure(
    order: ExploreOrder,
    folder: Path,
    made_from: Mapping[str, str],
    log: Path,
    lock_fd: int,
    progress: Callable[[str], None],
) -> Figures:
    ours = {path: f"{name} calibration text" for name, path in TEXTS.items()}
    request = FiguresRequest(
        model=folder.resolve(),
        name=order.model.name,
        made_from=made_from,
        calibration=order.calibration.resolve(),
        calibration_name=ours.get(order.calibration, order.calibration.name),
        threads=order.threads,
    )
    done = run_job(
        FIGURES,
        request,
        log=log,
        variables=tool_variables(order.threads),
        held=[lock_fd],
        told=lambda said: progress(said.words if said else ""),
    )
    return done.reply


def _draw(figures: Figures, folder: Path) -> None:
    """The page, and each of its drawings as a PNG."""
    (folder / PAGE_NAME).write_text(render(figures), encoding="utf-8")
    for name, drawing in pictures(figures).items():
        (folder / f"{name}.png").write_bytes(png(drawing))
