"""Are planted defects called, and nothing where none is planted? The part of the bench that asks.

The bundled model in Q8_0, served by llama.cpp, is asked 200 questions in its chats and some texts:
as it is three times, and with each defect once.
"""

import tempfile
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from deploy.plan import Plan
from eval.divergence.asked_texts import asked_texts
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.model_source import prepared
from quantize.order import Order
from quantize.source.source_model import REFERENCE, SourceModel, fingerprint
from tests.benches.evidence.called import Found, judge
from tests.benches.evidence.planted_defects import Defect, Names, defects, planted
from tests.benches.evidence.planted_pass import THREADS, Pass, Questions, ask
from tests.benches.harness.bench_artifacts import make_or_void
from tests.benches.harness.bench_figures import Figure, at_least, at_most
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.bench_table import columns

RECIPE = "gguf-q8_0"
ITEMS, TEXTS = 200, 40
# BOS, the plain end and what marks the turns of a chat, in the bundled model's vocabulary.
NAMES = Names(bos=1, end=2, chat=frozenset(range(4, 8)))
NOTHING = Defect(name="nothing planted")
_SAMPLES, _SEQUENCE_LENGTH = 64, 512


def measure_planted(run: BenchRun) -> None:
    """Ask, judge, tell; a defect whose pass fails is void."""
    model = fingerprint(REFERENCE)
    if RECIPE not in make_or_void(_order(model), run):
        return
    artifact = artifact_directory(ARTIFACTS_DIR, model, RECIPE)
    with tempfile.TemporaryDirectory(prefix="assay-planted-") as scratch:
        questions = _questions(model, Path(scratch))
        first = ask(run, questions, artifact, NOTHING, "baseline")
        again = ask(run, questions, artifact, NOTHING, "baseline again")
        found: dict[str, Found] = {}
        for defect in (NOTHING, *defects(NAMES)):
            with run.cell(defect.name):
                folder = planted(defect, artifact, Path(scratch))
                mine: Pass = ask(run, questions, folder, defect, defect.name)
                found[defect.name] = judge(mine, first, again)
                run.say("\n".join(_table(found).splitlines()[:: len(found)]))
    run.say("\n" + _table(found))
    run.figures += figures(found)


def _order(model: SourceModel) -> Order:
    return Order(
        model=model,
        recipe_names=(RECIPE,),
        calibration=calibration_plan(BUNDLED, _SAMPLES, _SEQUENCE_LENGTH),
        artifacts=ARTIFACTS_DIR,
        threads=THREADS,
    )


def _questions(model: SourceModel, scratch: Path) -> Questions:
    tokenizer = prepared(model, ARTIFACTS_DIR).folder
    plan = Plan.model_validate(
        {
            "name": "planted",
            "variants": [RECIPE],
            "baseline": RECIPE,
            "quality": {"tasks": ["assay_text"], "divergence": TEXTS},
        }
    )
    return Questions(
        tokenizer=tokenizer, texts=asked_texts(plan, tokenizer), items=ITEMS, scratch=scratch
    )


def figures(found: dict[str, Found]) -> list[Figure]:
    """Each defect is called, nothing else is, and bare accuracy misses at least one."""
    told = [
        at_least(f"called: {name}", float(bool(it.called)), "yes or no", 1.0)
        for name, it in found.items()
        if name != NOTHING.name
    ]
    if (nothing := found.get(NOTHING.name)) is not None:
        called = float(bool(nothing.called))
        told.append(at_most("called where nothing is planted", called, "yes or no", 0.0))
    by_accuracy = sum(it.by_accuracy for name, it in found.items() if name != NOTHING.name)
    if told:
        most = float(len(told) - 2)
        told.append(at_most("called by bare accuracy", float(by_accuracy), "defects", most))
    return told


def _table(found: dict[str, Found]) -> str:
    return columns(
        (
            *("planted", "KL beyond the floor", "perplexity x", "flips p", "length x"),
            *("accuracy", "not right", "our call", "bare accuracy"),
        ),
        [(name, *_cells(it)) for name, it in found.items()],
    )


def _cells(found: Found) -> tuple[str, ...]:
    excess, (mine, theirs) = found.divergence.excess, found.accuracy
    others = (f"{count} {name}" for name, count in found.outcomes.items() if name != "right")
    return (
        "-" if excess is None else f"{excess.value:.2g}",
        f"{found.divergence.perplexity_ratio.value:.3f}",
        f"{found.p_value:.2g}",
        f"{found.length.value:.2f}",
        f"{100 * mine:.1f} ({100 * (mine - theirs):+.1f})",
        ", ".join(others) or "-",
        ", ".join(found.called) or "none",
        "calls it" if found.by_accuracy else "misses it",
    )
