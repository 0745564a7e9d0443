"""How the figures came about: definitions, sample sizes, environment, limits, raw files."""

from dataclasses import dataclass
from urllib.parse import quote

from eval.drawing.glyphs import Mark
from eval.report import formats
from eval.report.report_inputs import Run
from eval.report.tables import Cell, Column, Row, Table, missing, name_cell
from loadtest.stats import LEAST_WHOLE_ROUNDS

_TIMES: tuple[tuple[str, str], ...] = (
    (
        "TTFT, time to first token",
        "From sending the request to the first chunk with non-empty content; a chunk that only "
        "announces the role does not count (vLLM's own benchmark counts it). A token of reasoning "
        "counts; TTFO is the same to the first token of the answer itself.",
    ),
    (
        "TPOT, time per output token",
        "(end-to-end time − TTFT) / (output tokens − 1), one value per request. GuideLLM calls "
        "this ITL, and its “TPOT” includes TTFT.",
    ),
    (
        "ITL, inter-token latency",
        "The raw gap between two content chunks. A chunk is not a token, so ITL is not TPOT; it "
        "stands under “Gaps and stalls”. Other tools give one mean per request that name.",
    ),
    (
        "End-to-end",
        "From sending the request to the last chunk that carries a token.",
    ),
)
_DUE: tuple[tuple[str, str], ...] = (
    (
        "From when a request was due",
        "The load is an open loop, so TTFT and end-to-end begin when the schedule wanted the "
        "request sent, and not when it was sent.",
    ),
)
_THROUGHPUT = "Output tokens (the endpoint's own usage figures)"
_COMPARISONS: tuple[tuple[str, str], ...] = (
    (
        "Goodput",
        "Requests per second that meet every service-level objective of the plan; a request that "
        "failed counts as one that did not.",
    ),
    (
        "Difference to the baseline",
        "Paired item by item: both variants saw the same token ids. The bracket is a confidence "
        "interval; McNemar's exact test gives p for answers that flipped. With quality.stop_early "
        "both are by bets on the items, and hold whenever one looks and stops; what a right answer "
        "costs has no interval then.",
    ),
    (
        "Margin",
        "The loss that the plan accepts. Within the margin: the whole interval lies above it. "
        "Beyond: the whole interval lies below it. Else the data do not decide.",
    ),
    (
        "No signal",
        "On this task the baseline cannot be told from guessing (exact binomial test; of texts: "
        "from a model that knows nothing), answers none or all right, or has no more to lose than "
        "the margin. Equal answers then prove nothing, and the verdict does not count them.",
    ),
    (
        "Noise floor",
        "What asking the same weights again can change: from the items' differences between two "
        "passes of the baseline, the larger of what the passes came apart and of how far noise of "
        "that size takes a mean. A change below it is not charged to a variant.",
    ),
    (
        "Ranges",
        "Brackets and whiskers are confidence intervals: of load figures by resampling rounds and "
        "requests, of accuracy from the paired items. A percentile that the sample cannot certify "
        "is left out (a p90 needs 64 requests, a p99 needs 662), and has a range only where as "
        "many batches of them certify it. Percentiles are of all requests: one that failed counts "
        "as infinitely late, “∞”.",
    ),
    (
        "Divergence",
        "How far a variant’s prediction of a token lies from the baseline’s: KL(baseline ‖ "
        "variant) of the likeliest tokens that both tell of, all others taken as one, so it is a "
        "lower bound. The floor is the baseline asked again; the excess is paired text by text. "
        "Called a screen where it is not surely twice the floor or changes no perplexity.",
    ),
    (
        "Throughput ratio",
        "The geometric mean of the ratios of single rounds, in which the variants took turns in an "
        "order that the next round reverses; its interval is Student’s over rounds. Variants that "
        "did not take turns are compared by Welch’s interval, which cannot see what changed "
        "in between. Where the load test was free to stop early, the interval is a confidence "
        "sequence, true however often one looks.",
    ),
    (
        "Disturbed",
        "A turn during which other programs used more of the processors than the plan allows, the "
        "engine was restarted or the load generator was the limit is measured once more; if it "
        "stays so, the variant’s speeds are void and enter no verdict.",
    ),
)


def definitions(run: Run) -> list[tuple[str, str]]:
    """What the words of the page mean; how a rate is formed, the load point says."""
    throughput = ("Output throughput", f"{_THROUGHPUT} {run.point.rate_words}")
    return [*_TIMES, *(_DUE if run.point.counts_from_due else ()), throughput, *_COMPARISONS]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of the environment or of the settings."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """A file beside the report, by its relative address."""

    words: str
    address: str


def limits(run: Run) -> list[str]:
    """What a careful reader must hold against this run, in plain words."""
    load, confidence = run.plan.load, formats.percent(run.plan.objectives.confidence, 0)
    items = [
        f"{result.items:,} items on {task}"
        for task in run.tasks
        for _, result in run.results(task)[:1]
    ]
    said = [
        f"Intervals hold at {confidence} each, not for all comparisons together: with many "
        "variants, one interval in a while misses the truth.",
        run.point.limit_words,
        f"Prompts of {load.prompt_tokens.words} and outputs of {load.output_tokens.words} tokens, "
        f"{load.rounds} round(s) of {load.duration_s:g} s per level. Other "
        "lengths may change the order of the variants.",
        _rounds_words(load.rounds),
        "Server and load generator share one machine, so absolute speeds are lower than on a "
        "server of its own; ratios suffer less.",
    ]
    if items:
        said.append(
            f"Quality is sampled: {', '.join(items)}. A difference smaller than its "
            "interval may be none."
        )
    said.append("The model, this machine and these versions only; another machine decides anew.")
    return said


def _rounds_words(rounds: int) -> str:
    """What the intervals of the load figures cover, which depends on how many rounds there were."""
    if rounds == 1:
        return (
            "Intervals of load figures cover the spread of requests within the one round; what "
            "another round would differ by is not in them."
        )
    ratios = "it is 12.7 standard errors of two rounds, 2.6 of six."
    own = f"Intervals of a variant's own load figures (not of ratios) resample the {rounds} rounds"
    if rounds < LEAST_WHOLE_ROUNDS:
        return (
            f"{own} and the requests within each. So few tell little of what rounds differ by, and "
            "they are too narrow; more load.rounds mend that. Student's interval of a ratio knows "
            f"how few they are: {ratios}"
        )
    return f"{own}, widened for how few these are as Student's interval of a ratio is: {ratios}"


def environment_facts(run: Run) -> list[Fact]:
    """The machine and the versions, as far as they were written down."""
    found = run.environment
    if found is None:
        return []
    named = (
        ("Processor", found.cpu),
        ("Cores", None if found.cores is None else str(found.cores)),
        ("Memory", None if found.memory_bytes is None else formats.size(found.memory_bytes)),
        ("GPU", found.gpu or "none"),
        ("System", found.platform),
        ("Python", found.python),
        ("Revision", found.git_revision),
        ("Date", found.date),
        *((name, "not installed" if v is None else v) for name, v in found.versions.items()),
        *((name.replace("_", " "), str(v)) for name, v in (found.model_extra or {}).items()),
    )
    return [Fact(name=name, value=value) for name, value in named if value is not None]


def samples_table(run: Run, marks: dict[str, Mark]) -> Table:
    """How many requests and items stand behind each variant's figures, and what went wrong."""
    levels = sorted({load.point for v in run.variants for load in v.load})
    columns = [Column(title="Variant", numeric=False)]
    columns += [Column(title=level.short, note="requests") for level in levels]
    columns.append(Column(title="Errors", note="all levels"))
    columns += [Column(title=task, note="items") for task in run.tasks]
    rows = []
    for variant in run.variants:
        counts = {load.point: load.requests for load in variant.load}
        errors = sum(load.errors for load in variant.load)
        cells = [name_cell(variant.variant, marks)]
        cells += [
            Cell(text=f"{counts[level]:,}", value=counts[level])
            if level in counts
            else missing("no load figures")
            for level in levels
        ]
        cells.append(Cell(text=str(errors), value=errors, tone="bad" if errors else ""))
        for task in run.tasks:
            result = variant.quality.get(task)
            if result is None:
                cells.append(missing(run.why_no_quality(variant, task)))
            else:
                cells.append(Cell(text=f"{result.items:,}", value=result.items))
        rows.append(Row(key=marks[variant.variant].key, cells=tuple(cells)))
    return Table(columns=tuple(columns), rows=tuple(rows))


def problems(run: Run) -> list[str]:
    """Everything that went wrong or is missing, one line each."""
    said = [words for task in run.tasks if (words := run.silence(task))]
    for name in run.order:
        variant, raw = run.find(name), run.raw[name]
        if name in run.comparison.failed:
            said.append(f"{name}: failed: {run.comparison.failed[name]}")
            if variant is None:
                continue
        if variant is None:
            said.append(f"{name}: ranked, but the comparison holds no results of it")
            continue
        said += [f"{name}: {remark}" for remark in variant.remarks]
        said += [
            f"{name}: {task} was refused: {why}" for task, why in variant.refused_tasks.items()
        ]
        if not variant.load:
            said.append(f"{name}: not load-tested: {run.why_no_load(variant)}")
        if variant.why_void:
            said.append(f"{name}: its speeds are void: {variant.why_void}")
        said += [f"{name}: {count} × {text}" for text, count in raw.errors.items()]
        said += [f"{name}: {file} cannot be read: {why}" for file, why in raw.unreadable.items()]
    return said


def raw_files(run: Run) -> list[tuple[str, list[Link], str]]:
    """Per variant: its name, Locust's own pages, and what its parquet files hold."""
    pages = [Link(words=page.removesuffix(".html"), address=quote(page)) for page in run.pages]
    found = [("all variants", pages, "Locust's own pages, one per round")] if pages else []
    for name in run.order:
        raw = run.raw[name]
        links = [
            Link(words=page.removesuffix(".html"), address=f"{quote(name, safe='')}/{quote(page)}")
            for page in raw.pages
        ]
        counts = []
        if raw.requests is not None:
            counts.append(f"{raw.requests:,} requests sent, {raw.counted:,} counted")
        if raw.sample_rows is not None:
            counts.append(f"{raw.sample_rows:,} answers kept")
        found.append((name, links, "; ".join(counts)))
    return found
