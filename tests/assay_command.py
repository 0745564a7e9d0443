"""The command line as users call it, on this environment's Python."""

import sys

from quantize.root import ROOT

ASSAY = (sys.executable, str(ROOT / "assay"))
