"""The colours of every page and drawing, by name: the one place that has them.

A page gets them as CSS variables of its light and its dark mode; a picture, whose renderer knows
neither variables nor modes, gets the light ones written into its sheet.
"""

import re
from collections.abc import Mapping

# Each in the light and in the dark; e0 to e5 are the hues of entries.
COLOURS: Mapping[str, tuple[str, str]] = {
    "paper": ("#fff", "#14171b"),
    "panel": ("#f6f7f9", "#1b1f25"),
    "ink": ("#1a1d21", "#e9ebee"),
    "muted": ("#565e68", "#a7afb9"),
    "line": ("#e2e5e9", "#2b3138"),
    "rule": ("#8d96a0", "#68727d"),
    "noise": ("#59626c24", "#c0cad426"),
    "good": ("#17692e", "#6ad588"),
    "bad": ("#ab2219", "#ff978e"),
    "unsure": ("#7d5100", "#f0c163"),
    "good-bg": ("#eaf5ec", "#14271a"),
    "bad-bg": ("#fcedeb", "#321918"),
    "unsure-bg": ("#fcf3df", "#2c2412"),
    "e0": ("#0b62a8", "#70b8f6"),
    "e1": ("#b34a05", "#f5a562"),
    "e2": ("#0a755a", "#4fcca3"),
    "e3": ("#8b3985", "#e09ad8"),
    "e4": ("#7a5f00", "#dabf58"),
    "e5": ("#4c5661", "#b6bfc9"),
}


def variables() -> str:
    """The rules that give a page its colours, in the mode that its reader's screen asks for."""
    light, dark = (
        " ".join(f"--{name}: {pair[mode]};" for name, pair in COLOURS.items()) for mode in (0, 1)
    )
    return (
        f":root {{ {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def in_light(sheet: str) -> str:
    """``sheet`` with the light colours in the places of their variables.

    Raises:
        KeyError: the sheet names a colour that is not in the palette.
    """
    return re.sub(r"var\(--([\w-]+)\)", lambda match: COLOURS[match[1]][0], sheet)
