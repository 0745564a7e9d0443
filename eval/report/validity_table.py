"""The stamps of every variant: what had to hold for its figures to count, and whether it did."""

from collections.abc import Iterable

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, missing, name_cell
from eval.schema import LoadComparison, VariantComparison
from eval.verdict_words import is_emulated
from loadtest.pairing import is_steady
from loadtest.validity import CLIENT

COLUMNS = (
    Column(title="Variant", numeric=False),
    Column(title="Answers as its weights", note="held against transformers", numeric=False),
    Column(title="Same questions", note="word for word", numeric=False),
    Column(title="Whole answers", note="nothing cut or refused", numeric=False),
    Column(title="Undisturbed", note="by other programs", numeric=False),
    Column(title="Client fast enough", numeric=False),
    Column(title="Steady", note="within a round", numeric=False),
    Column(title="In turns", note="with the baseline", numeric=False),
    Column(title="Kernels", note="as one would deploy", numeric=False),
)


def validity_table(run: Run, marks: dict[str, Mark]) -> Table:
    """A row per variant: ✓ held, ✗ did not, ? is to be minded."""
    rows = [
        Row(
            key=marks[variant.variant].key,
            cells=(name_cell(variant.variant, marks), *_stamps(run, variant)),
        )
        for variant in run.variants
    ]
    return Table(columns=COLUMNS, rows=tuple(rows))


def _stamps(run: Run, variant: VariantComparison) -> Iterable[Cell]:
    yield _agreement(variant)
    yield _questions(run, variant)
    yield _whole(variant)
    if is_emulated(variant):
        yield from [missing("emulated")] * 4
    else:
        yield from _load_stamps(run, variant)
    yield _kernels(variant)


def _agreement(variant: VariantComparison) -> Cell:
    found = variant.agreement
    if found is None:
        return missing("older than this proof")
    good, open_ = found.state == "agrees", found.state == "not held"
    return _stamp(good, found.state, "; ".join(found.reasons), doubt=open_)


def _questions(run: Run, variant: VariantComparison) -> Cell:
    if not variant.quality:
        return missing("not asked")
    items = sum(result.items for result in variant.quality.values())
    alike = run.is_baseline(variant) or all(it.difference for it in variant.quality.values())
    return _stamp(alike, f"{items:,} items", "" if alike else "some have no pair")


def _whole(variant: VariantComparison) -> Cell:
    cut = sum(result.truncated_prompts for result in variant.quality.values())
    errors = sum(level.errors for level in variant.load)
    told = [f"{cut:,} prompts cut" * bool(cut), f"{errors:,} requests failed" * bool(errors)]
    told += [f"{task} refused" for task in variant.refused_tasks]
    found = [words for words in told if words]
    return _stamp(not found, "all" if not found else "not all", "; ".join(found))


def _load_stamps(run: Run, variant: VariantComparison) -> Iterable[Cell]:
    level = run.load_at(variant)
    if level is None:
        yield from [missing(run.why_no_load(variant))] * 4
        return
    void = [*variant.void, *level.void]
    yield _stamp(not void, "void" if void else "yes", "; ".join(dict.fromkeys(void)))
    yield _client(variant)
    yield _steady(level)
    if run.is_baseline(variant):
        yield Cell(text="the baseline", value="the baseline")
    else:
        rounds = f"{len(level.rounds)} rounds"
        yield _stamp(level.paired, rounds if level.paired else "no", "", doubt=True)


def _client(variant: VariantComparison) -> Cell:
    if variant.saturated_client:
        return _stamp(False, "no", CLIENT)
    if variant.certificate is None:
        return missing("not certified")
    why = variant.certificate.why_void
    return _stamp(not why, "certified" if not why else "no", why)


def _steady(level: LoadComparison) -> Cell:
    if level.settling is None:
        return missing("one wave of requests")
    shift = formats.ratio(level.settling.value)
    good = is_steady(level.settling)
    return _stamp(good, shift, "later requests over earlier" if not good else "")


def _kernels(variant: VariantComparison) -> Cell:
    if variant.kernels is None:
        return missing("the engine names none")
    remarks = variant.kernels.remarks
    return _stamp(
        not remarks, "as expected" if not remarks else "minded", "; ".join(remarks), doubt=True
    )


def _stamp(good: bool, words: str, detail: str, *, doubt: bool = False) -> Cell:
    tone = "good" if good else "unsure" if doubt else "bad"
    return Cell(text=words, value=("✓" if good else "✗") + words, detail=detail, tone=tone)
