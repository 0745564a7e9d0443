"""Which records of ``comparison.json`` a sentence of the verdict rests on. Pure functions.

A sentence names variants, tasks and loads by their names in the comparison, and whatever it names
is what it is about; one that names no variant speaks of the verdict's subject. So a new sentence
needs no list of its own. Records are JSON pointers (RFC 6901) into ``comparison.json``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from eval.schema import ComparisonFile, VariantComparison, VerdictFile


def verdict_records(comparison: ComparisonFile, verdict: VerdictFile) -> dict[str, list[str]]:
    """The records of every sentence of a verdict; of one about no variant there are none."""
    subject = verdict.variant or _first_named(verdict.sentence, comparison)
    found = {words: records_of(words, comparison, subject) for words in _answer(verdict)}
    for words in (*verdict.caveats, *verdict.next_run, *verdict.sensitivity):
        found[words] = records_of(words, comparison, _of_the_baseline(words, comparison))
    for it in verdict.ranking:
        for reason in (*it.failed, *it.undecided):
            found[told_of(it.variant, reason.sentence)] = records_of(
                reason.sentence, comparison, it.variant, alone=True
            )
    return {words: pointers for words, pointers in found.items() if pointers}


def told_of(variant: str, sentence: str) -> str:
    """A reason of the ranking, told apart from the same words about another variant."""
    return f"{variant}: {sentence}"


def _answer(verdict: VerdictFile) -> list[str]:
    return [verdict.sentence, *verdict.reasons]


def _first_named(words: str, comparison: ComparisonFile) -> str | None:
    names = [v.variant for v in comparison.variants if _names(words, v.variant)]
    return min(names, key=words.index, default=None)


def _of_the_baseline(words: str, comparison: ComparisonFile) -> str | None:
    """A caveat about a task alone speaks of the baseline's answers to it."""
    baseline = next(v for v in comparison.variants if v.variant == comparison.baseline)
    about = any(words.startswith(f"{task}:") for task in baseline.quality)
    return baseline.variant if about else None


def records_of(
    words: str, comparison: ComparisonFile, subject: str | None, *, alone: bool = False
) -> list[str]:
    """JSON pointers to what a sentence names, in the comparison's order.

    ``alone``: it speaks of the subject, and other names in it are only what that is held against.
    """
    variants = [
        v
        for v in comparison.variants
        if v.variant == subject or (not alone and _names(words, v.variant))
    ]
    return [pointer for variant in variants for pointer in _records(words, comparison, variant)]


def _records(words: str, comparison: ComparisonFile, variant: VariantComparison) -> Sequence[str]:
    place = f"/variants/{comparison.variants.index(variant)}"
    tasks = [f"{place}/quality/{escaped(task)}" for task in variant.quality if _names(words, task)]
    loads = [
        f"{place}/load/{number}"
        for number, level in enumerate(variant.load)
        if _names(words, level.point.label)
    ]
    return [*tasks, *loads] or [place]


def _names(words: str, name: str) -> bool:
    """Whether a sentence holds a name whole, and not as a part of a longer one."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words) is not None


def escaped(name: str) -> str:
    """A key as a JSON pointer has it."""
    return name.replace("~", "~0").replace("/", "~1")


def unescaped(part: str) -> str:
    """A part of a JSON pointer as the key that it means."""
    return part.replace("~1", "/").replace("~0", "~")


def looked_up(content: Mapping[str, object], pointer: str) -> object:
    """What a JSON pointer points at.

    Raises:
        KeyError, IndexError: there is nothing.
    """
    found: object = content
    for part in _parts(pointer):
        if isinstance(found, Mapping):
            found = found[part]
        elif isinstance(found, Sequence):
            found = found[int(part)]
        else:
            raise KeyError(pointer)
    return found


def _parts(pointer: str) -> Iterable[str]:
    return map(unescaped, pointer.split("/")[1:])
