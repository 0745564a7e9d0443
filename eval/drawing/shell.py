"""What every page of this project shares: its look, its small script, and that script's digest.

A page holds both inside itself and loads nothing; its content security policy names the digest,
so that no other script runs.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path

from markupsafe import Markup

from eval.drawing.palette import variables

_HERE = Path(__file__).parent


@cache
def look() -> Markup:
    """The style sheet: colours of the light and the dark mode, text, tables, figures."""
    # The files are ours, and must not be escaped; so is the script.
    return Markup(variables() + (_HERE / "look.css").read_text(encoding="utf-8") + marks())


@cache
def marks() -> str:
    """The part of the style sheet that drawings need, with the colours' variables in it."""
    return (_HERE / "marks.css").read_text(encoding="utf-8")


@cache
def script() -> Markup:
    """Sorting of tables, tooltips, and one entry brought out everywhere."""
    return Markup((_HERE / "script.js").read_text(encoding="utf-8"))


def script_digest() -> str:
    """SHA-256 of the script in base64, as a content security policy wants it (CSP level 2)."""
    return base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
