"""The tasks of the suite by name: which of them are chats."""

CHATS = frozenset(
    {
        "assay_general_arithmetic",
        "assay_general_instructions",
        "assay_general_retrieval",
        "assay_general_tools",
    }
)
"""Asked through the model's own chat template, where it has one."""
ENDLESS = CHATS | {"assay_general_long"}
"""Drawn without end: a limit beyond their size makes more."""
SUITE = CHATS | {"assay_general_choice", "assay_general_long", "assay_general_text"}

# What ends the question for a model without a chat template, which goes on writing.
PLAIN_ENDING = "\nAnswer:"
