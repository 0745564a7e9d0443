"""Is our table lm-eval's own? The same model asked by its ``hf`` backend and through an endpoint.

Both compute in single precision; ours through the transformers engine behind our server, as a plan
is asked. Told as lm-eval prints its table, in four digits after the point, bare, with examples, and
with examples in the model's chat template. Of whole texts lm-eval is told not to put BOS before a
BOS that the tokenizer puts (``eval/rolling_windows.py``).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.artifacts import ARTIFACTS_DIR
from eval.lm_eval_job import Job
from eval.lm_eval_process import run_job as ask_endpoint
from eval.quality_job import TASKS_DIR
from quantize.artifact_paths import artifact_directory
from quantize.calibration.calibration_set import BUNDLED, calibration_plan
from quantize.jobs.environment import tool_variables
from quantize.jobs.worker import run_job
from quantize.model_source import prepared
from quantize.order import Order
from quantize.root import ROOT
from quantize.source.source_model import REFERENCE, fingerprint
from services.engines.spec import CAPABILITIES
from tests.benches.evidence.hf_job import HF, HfRequest
from tests.benches.evidence.planted_pass import KEY, NAME, serving
from tests.benches.evidence.relay import Relay, listening
from tests.benches.harness.bench_artifacts import make_or_void
from tests.benches.harness.bench_figures import Figure, at_most
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.bench_table import columns

CHOICES, TEXTS, WRITTEN = "assay_general_choice", "assay_text", "assay_words"
METRICS = ("acc", "acc_norm", "exact_match", "word_perplexity", "byte_perplexity", "bits_per_byte")
LIMIT, CONTEXT_LENGTH, THREADS, DIGITS = 60, 2048, 2, 4
RECIPE = "bf16"


@dataclass(frozen=True, kw_only=True)
class Way:
    """How which tasks are asked; what is written has no examples to be taken from."""

    name: str
    tasks: tuple[str, ...]
    examples: int
    templated: bool


WAYS = (
    Way(name="bare", tasks=(CHOICES, TEXTS, WRITTEN), examples=0, templated=False),
    Way(name="3 examples", tasks=(CHOICES,), examples=3, templated=False),
    Way(name="3 examples in the chat template", tasks=(CHOICES,), examples=3, templated=True),
)
Table = dict[str, dict[str, float]]


def measure_hf(run: BenchRun) -> None:
    """Ask both, tell every figure of both."""
    model = fingerprint(REFERENCE)
    order = Order(
        model=model,
        recipe_names=(RECIPE,),
        calibration=calibration_plan(BUNDLED, 64, 512),
        artifacts=ARTIFACTS_DIR,
        threads=THREADS,
    )
    if RECIPE not in make_or_void(order, run):
        return
    source = prepared(model, ARTIFACTS_DIR).folder.resolve()
    artifact = artifact_directory(ARTIFACTS_DIR, model, RECIPE)
    with tempfile.TemporaryDirectory(prefix="assay-hf-") as scratch:
        for way in WAYS:
            with run.cell(way.name):
                theirs = _hf(source, way, Path(scratch))
                ours = _endpoint(run, artifact, source, way, Path(scratch))
                run.say(_told(way, ours, theirs))
                run.figures += figures(way, ours, theirs)


def _hf(source: Path, way: Way, scratch: Path) -> Table:
    request = HfRequest(
        model=source,
        tasks_dir=TASKS_DIR,
        tasks=way.tasks,
        limit=LIMIT,
        num_fewshot=way.examples,
        apply_chat_template=way.templated,
        context_length=CONTEXT_LENGTH,
        threads=THREADS,
    )
    variables = {**tool_variables(THREADS), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    variables |= {"HF_DATASETS_CACHE": str(scratch / "cache"), "PYTHONPATH": str(ROOT)}
    return run_job(HF, request, log=scratch / "hf.log", variables=variables).reply.figures


def _endpoint(run: BenchRun, artifact: Path, source: Path, way: Way, scratch: Path) -> Table:
    with serving(artifact, "transformers") as url:
        relay = Relay(url=url, headers={"authorization": f"Bearer {KEY}"})
        with listening(relay) as address:
            job = Job(
                variant=NAME,
                url=f"{address}/v1/completions",
                tokenizer=str(source),
                tasks=way.tasks,
                tasks_dirs=(str(TASKS_DIR),),
                bundled_only=True,
                limit=LIMIT,
                num_fewshot=way.examples,
                apply_chat_template=way.templated,
                concurrency=4,
                batch_size=4,
                context_length=CONTEXT_LENGTH,
                request_timeout_s=300,
                capabilities=tuple(sorted(CAPABILITIES)),
                samples=str(scratch / "samples.parquet"),
            )
            answer = ask_endpoint(
                job, log=scratch / "ours.log", cache=scratch / "cache", label="ours", tell=run.say
            )
    return {
        task: {name.partition(",")[0]: value for name, value in score.details.items()}
        for task, score in answer.scores.items()
    }


def _pairs(ours: Table, theirs: Table) -> list[tuple[str, str, float, float]]:
    """Every metric that both have, as lm-eval prints it."""
    return [
        (task, metric, round(ours[task][metric], DIGITS), round(theirs[task][metric], DIGITS))
        for task in theirs
        for metric in METRICS
        if metric in ours.get(task, {}) and metric in theirs.get(task, {})
    ]


def _told(way: Way, ours: Table, theirs: Table) -> str:
    rows = [
        (task, metric, f"{one:.{DIGITS}f}", f"{other:.{DIGITS}f}", "" if one == other else "OTHER")
        for task, metric, one, other in _pairs(ours, theirs)
    ]
    return f"\n{way.name}\n" + columns(("task", "metric", "ours", "lm-eval's hf", ""), rows)


def figures(way: Way, ours: Table, theirs: Table) -> list[Figure]:
    """How many figures differ in what is printed of them."""
    pairs = _pairs(ours, theirs)
    other = sum(one != their for _, _, one, their in pairs)
    missing = float(not pairs)
    return [
        at_most(f"other than lm-eval's, {way.name}", float(other), "figures", 0.0),
        at_most(f"nothing to compare, {way.name}", missing, "yes or no", 0.0),
    ]
