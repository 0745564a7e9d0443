"""``native-<format>``: a checkpoint that its publisher has quantized, served as it is.

Nothing is made of weights: what is proven is that they are stored as they announce.
"""

from difflib import get_close_matches

from quantize.formats.published_formats import EVERY_FORMAT
from quantize.recipes.recipe import NATIVE, Recipe


def native(form: str) -> Recipe:
    """The recipe of published checkpoints of one format.

    Raises:
        ValueError: no such format is known; the message lists those that are.
    """
    if form not in EVERY_FORMAT:
        near = get_close_matches(form, EVERY_FORMAT, n=1)
        hint = f"; did you mean {NATIVE}{near[0]}?" if near else ""
        raise ValueError(
            f"unknown format {form!r} of {NATIVE}{form}{hint} (valid: {', '.join(EVERY_FORMAT)})"
        )
    return Recipe(name=f"{NATIVE}{form}", method="native", format=EVERY_FORMAT[form])
