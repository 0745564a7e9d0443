"""``report.html``: one page with the verdict, its evidence and its limits, in one file.

The page loads nothing: styles, drawings and the small script are inside, and a content security
policy forbids everything else, so that a hostile model name stays a name.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eval.drawing.glyphs import icon
from eval.drawing.shell import look, script, script_digest
from eval.explore.sections import number_formats
from eval.report import details, formats, load_tables
from eval.report import method_notes as method
from eval.report import report_panels as panels
from eval.report.cost_table import cost_table
from eval.report.decision import decision_table
from eval.report.divergence_table import divergence_table, written_table
from eval.report.gpu_table import card_words, distance_table, gpu_table
from eval.report.marks import assign_marks
from eval.report.record_links import flips_anchor, record_links
from eval.report.report_inputs import Run, read_run
from eval.report.reproduce import reproduce_lines
from eval.report.server_table import server_table
from eval.report.strata_table import strata_table
from eval.report.tiles import evidence
from eval.report.validity_table import validity_table
from eval.schema import VariantComparison, VerdictFile
from loadtest.stats import CONFIDENCE
from quantize.jobs.whole_file import write_whole

_HERE = Path(__file__).parent
REPORT_NAME = "report.html"
# A longer sentence is set smaller; of more reasons or caveats the rest stands further down.
LONG_SENTENCE = 170
MOST_REASONS, MOST_CAVEATS = 8, 4
OUTCOMES = {
    "recommended": "Recommended",
    "none_qualifies": "No variant qualifies",
    "not_enough_evidence": "Not enough evidence",
}


def write_report(run_dir: Path) -> Path:
    """Write ``report.html`` from the run's files and return its path.

    Raises:
        ReportError: the plan, the comparison or the verdict is missing or malformed.
        PlanError: ``plan.yaml`` is no valid plan.
    """
    page = render(read_run(run_dir))
    path = run_dir / REPORT_NAME
    write_whole(path, page)
    return path


def render(run: Run) -> str:
    """The whole page as text."""
    marks = assign_marks(run.comparison.variants)
    subject = _subject(run)
    template = _environment().get_template("template.html")
    return template.render(
        # The file is ours, and must not be escaped.
        style=look() + Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        script=script(),
        script_digest=script_digest(),
        run=run,
        headline=_headline(run.verdict),
        long_headline=len(run.verdict.sentence) > LONG_SENTENCE,
        most_reasons=MOST_REASONS,
        most_caveats=MOST_CAVEATS,
        outcome_words=OUTCOMES[run.verdict.outcome],
        subject=subject,
        tiles=evidence(run, subject) if subject else [],
        legend=[(v, marks[v.variant], icon(marks[v.variant])) for v in run.variants],
        decision=decision_table(run, marks),
        scatters=panels.quality_against_speed(run, marks),
        load_panels=panels.against_load(run, marks),
        size_panels=panels.sizes(run, marks),
        forests=panels.quality_in_detail(run, marks),
        flips=details.flips_table(run, marks),
        flip_groups=[
            (flips_anchor(run, marks, group), group)
            for group in run.flips
            if group.task in run.tasks and group.variant in marks
        ],
        links=record_links(run, marks),
        validity=validity_table(run, marks),
        costs=cost_table(run, marks),
        reproduce=reproduce_lines(run),
        strata=strata_table(run),
        divergence=divergence_table(run, marks),
        written=written_table(run, marks),
        agreement=details.agreement_table(run, marks),
        kernels=details.kernel_table(run, marks),
        servers=server_table(run, marks),
        gpus=gpu_table(run, marks),
        distances=distance_table(run, marks),
        card=card_words(run),
        attribution=details.attribution_table(run, marks),
        noise=details.noise_table(run, marks),
        client=details.client_table(run),
        waiting=details.waiting_table(run, marks),
        stress=load_tables.stress_table(run, marks),
        parts=load_tables.parts_table(run, marks),
        gaps=load_tables.gaps_table(run, marks),
        answers=load_tables.answers_table(run, marks),
        saturation=load_tables.saturation_table(run, marks),
        slo_rates=details.slo_table(run, marks),
        formats_kept=number_formats(run.formats) if run.formats else [],
        definitions=method.definitions(run),
        confidence=_confidence(run),
        blocked=[r for r in run.verdict.ranking if r.failed or r.undecided],
        limits=method.limits(run),
        facts=method.environment_facts(run),
        samples=method.samples_table(run, marks),
        problems=method.problems(run),
        raw_files=method.raw_files(run),
        stage_seconds=max((s.seconds for s in run.stages or []), default=0.0),
        formats=formats,
    )


def _subject(run: Run) -> VariantComparison | None:
    """The variant whose figures stand beside the verdict: the chosen one, or the nearest."""
    if run.verdict.variant is not None:
        return run.find(run.verdict.variant)
    others = [variant for variant in run.variants if not run.is_baseline(variant)]
    # Where the evidence is too thin, the variant in question is the best of the undecided.
    open_ = [v for v in others if (r := run.ranked(v.variant)) and r.undecided and not r.failed]
    first = open_ if run.verdict.outcome == "not_enough_evidence" else []
    return next(iter([*first, *others, *run.variants]), None)


def _confidence(run: Run) -> str:
    """How sure the intervals are; those of the load test have a confidence of their own."""
    quality = formats.percent(run.plan.objectives.confidence, 0)
    load = formats.percent(CONFIDENCE, 0)
    return quality if quality == load else f"{quality} for quality, {load} for speed"


def _headline(verdict: VerdictFile) -> list[str]:
    """The sentence cut around the variant's name: every second part is the name."""
    if not verdict.variant or verdict.variant not in verdict.sentence:
        return [verdict.sentence]
    before, name, after = verdict.sentence.partition(verdict.variant)
    return [before, name, after]


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
