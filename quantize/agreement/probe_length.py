"""How many tokens a model's probe has. Pure."""

from quantize.source.model_shape import ModelShape

# Long enough for a mean that one odd token does not move.
LEAST_TOKENS = 640
# How far beyond an attention window the probe goes.
BEYOND_WINDOW = 192


def probe_tokens(shape: ModelShape, context_length: int) -> int:
    """Beyond the attention window of the model, within what is served of its context.

    One place is left for the token that an engine generates.
    """
    wanted = max(LEAST_TOKENS, (shape.window or 0) + BEYOND_WINDOW)
    return min(wanted, context_length - 1, shape.positions - 1)
