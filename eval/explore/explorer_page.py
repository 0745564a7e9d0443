"""``index.html``: the explorer's page, in one file that loads nothing."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eval.drawing.numbers import significant, trimmed
from eval.drawing.shell import look, script, script_digest
from eval.explore.explorer_figures import Figures
from eval.explore.sections import sections

PAGE_NAME = "index.html"


def render(figures: Figures) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html").render(
        style=look(),
        script=script(),
        script_digest=script_digest(),
        figures=figures,
        sections=sections(figures),
        significant=significant,
        trimmed=trimmed,
    )


def pictures(figures: Figures) -> dict[str, str]:
    """Every drawing of the page as SVG text, by its file's name without an ending."""
    return {
        panel.name: str(panel.picture) for section in sections(figures) for panel in section.panels
    }
