"""Imports the libraries once, before warnings are errors: theirs are not ours to mend."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    # Imports torchao, whose files warn when they are first compiled.
    import transformers.modeling_utils  # noqa: F401
