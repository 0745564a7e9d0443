"""The checkout's own folder: the one place that says where everything of ours lies.

Standard library only, for set-up imports it before any environment exists.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"
