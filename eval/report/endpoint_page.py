"""The page of a load test of an endpoint that Assay did not start: a table and what it rests on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.drawing.shell import look
from eval.report import formats
from loadtest.certificate import Certificate
from loadtest.dialect import Dialect
from loadtest.intervals import Estimate
from loadtest.load_file import LevelSummary, LoadFile
from quantize.jobs.whole_file import write_whole

_HERE = Path(__file__).parent
_LATENCIES = (
    ("TTFT", "ttft_s", ("p50", "p90", "p99")),
    ("TPOT", "tpot_s", ("p50", "p99")),
    ("end to end", "e2e_s", ("p50", "p99")),
)
PAGE_NAME = "report.html"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A figure, and the small print below it."""

    text: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class EndpointRun:
    """What the page shows; ``missed`` says which objectives were not met."""

    url: str
    dialect: Dialect
    load: LoadFile
    certificate: Certificate
    remarks: Sequence[str]
    missed: Sequence[str]


def write_endpoint_page(folder: Path, run: EndpointRun) -> Path:
    """Write the page, whole or not at all; returns its path."""
    path = folder / PAGE_NAME
    write_whole(path, endpoint_page(run))
    return path


def endpoint_page(run: EndpointRun) -> str:
    """The whole page as text; it loads nothing."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    void = [reason for reason in (run.load.why_void, run.certificate.why_void) if reason]
    point = run.load.levels[0].point
    return environment.get_template("endpoint_page.html").render(
        style=look() + Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        model=run.dialect.model,
        url=run.url,
        words=run.dialect.words,
        started=run.load.started_at,
        lasted=formats.duration(run.load.seconds),
        void=void,
        slo=run.missed,
        titles=titles(),
        rows=[cells(level) for level in run.load.levels],
        certificate=[found.words for found in run.certificate.after],
        remarks=run.remarks,
        rate_words=point.rate_words,
    )


def titles() -> list[str]:
    """The table's head."""
    latencies = [f"{word} {key}" for word, _, keys in _LATENCIES for key in keys]
    return ["load", "requests", *latencies, "tokens/s", "requests/s"]


def cells(level: LevelSummary) -> list[Cell]:
    """One load point."""
    latencies = [
        _cell(getattr(level, name), key, formats.seconds)
        for _, name, keys in _LATENCIES
        for key in keys
    ]
    errors = f"{level.errors} failed" if level.errors else ""
    return [
        Cell(text=level.point.label),
        Cell(text=str(level.requests), detail=errors),
        *latencies,
        _figure(level.output_tok_per_s, formats.significant),
        _figure(level.request_per_s, formats.significant),
    ]


def _cell(found: Mapping[str, Estimate], key: str, words: Callable[[float], str]) -> Cell:
    return _figure(found[key], words) if key in found else Cell(text="–")


def _figure(estimate: Estimate, words: Callable[[float], str]) -> Cell:
    bounds = estimate.bounds
    detail = f"{words(bounds[0])} to {words(bounds[1])}" if bounds else ""
    return Cell(text=words(estimate.value), detail=detail)
