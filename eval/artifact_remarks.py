"""What a reader must know of an artifact beside its figures, from its manifest."""

from collections import Counter

from quantize.artifact.manifest import Manifest


def artifact_remarks(manifest: Manifest) -> list[str]:
    """One line for each thing in which it differs from what its name or its source says."""
    remarks = []
    tokens = manifest.tokenizer
    if tokens is not None and tokens.different:
        examples = ", ".join(repr(text) for text in tokens.examples)
        remarks.append(
            f"its own tokenizer reads {tokens.different} of {tokens.texts} texts "
            f"({tokens.share:.1%}) otherwise than the model's (token ids are sent wherever "
            f"possible), such as {examples}"
        )
    if manifest.fallbacks:
        kinds = Counter(manifest.fallbacks.values())
        counts = ", ".join(f"{count} as {kind}" for kind, count in sorted(kinds.items()))
        remarks.append(
            f"llama.cpp stores tensors whose rows its super-blocks do not divide as other types "
            f"than the recipe's: {counts}"
        )
    if manifest.context_limit is not None:
        remarks.append(
            f"beyond {manifest.context_limit} tokens its engine would compute otherwise than the "
            "model does (it keeps no sliding window)"
        )
    return remarks
