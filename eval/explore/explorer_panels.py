"""A figure with its file name and title, and a section of figures with its words."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One figure; ``name`` is its file's name, without an ending."""

    name: str
    title: str
    picture: Markup
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """Figures that make one point; ``words`` say what to see in them."""

    name: str
    title: str
    words: tuple[str, ...]
    panels: tuple[Panel, ...] = ()
    gap: str = ""
