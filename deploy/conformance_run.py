"""``assay conformance --engine …``: one real engine against the conformance suite.

Makes the artifact of one variant, starts the engine on it, checks, prints a table, stops it.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import aiohttp

from deploy.artifacts import artifact_of, source_folder, source_model
from deploy.machine_check import check_machine, check_shared_memory
from deploy.make_artifacts import make_artifacts
from deploy.plan import Plan, PlanError
from deploy.settings import engine_version
from quantize.artifact.end_tokens import end_tokens
from quantize.calibration.calibration_set import calibration_plan, read_texts
from quantize.calibration.default_text import default_text
from quantize.jobs.environment import python_of
from quantize.jobs.failure import ToolError
from quantize.jobs.surroundings import cleaned
from quantize.jobs.worker import run_job
from quantize.processors import usable_cpus
from quantize.recipes.catalogue import UNQUANTIZED_BITS
from quantize.source.scores_job import REFERENCE_SCORES, TextsToScore
from services.engine.conformance import Conformance, Finding, Reference, conformance_table
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.engines.table import ENGINES
from services.variants import VARIANTS, Variant, find_variant

TEXTS = 4


class ConformanceError(RuntimeError):
    """The engine does not do what it must; the table says what."""


def choose_variant(engine: str, plan: Plan) -> Variant:
    """The plan's first variant of an engine, or the one with 16-bit weights.

    Raises:
        PlanError: there is no such engine.
    """
    if engine not in ENGINES:
        raise PlanError(f"unknown engine {engine!r} (valid: {', '.join(ENGINES)})")
    for variant in plan.resolved_variants():
        if variant.engine.name == engine:
            return variant
    plain = (v for v in VARIANTS.values() if v.engine.name == engine)
    return next(v for v in plain if v.recipe.bits == UNQUANTIZED_BITS)


def run_conformance(engine: str, plan: Plan, say: Callable[[str], None]) -> None:
    """Check one engine; says the table.

    Raises:
        PlanError: no such engine, or this machine cannot run it.
        ConformanceError: a check failed.
    """
    variant = choose_variant(engine, plan)
    alone = plan.model_copy(update={"variants": (variant.name,), "baseline": variant.name})
    check_machine(alone)
    check_shared_memory(alone)
    make_artifacts(alone, say)
    say(f"conformance of {variant.engine.title}: {variant.name}")
    findings = _check(alone, find_variant(variant.name))
    say(conformance_table(findings))
    failed = sum(finding.failure is not None for finding in findings)
    say(f"{len(findings) - failed} of {len(findings)} checks passed")
    if failed:
        raise ConformanceError(
            f"{variant.engine.title} failed {failed} check{'s' if failed > 1 else ''}"
        )


def _check(plan: Plan, variant: Variant) -> list[Finding]:
    model, limits = source_model(plan), plan.limits_of(variant.name)
    references = None
    if variant.recipe.bits == UNQUANTIZED_BITS and variant.kv_cache is None:
        references = reference_scores(source_folder(plan))
    settings = EngineSettings(
        artifact=str(artifact_of(model, variant.recipe.name)),
        python=str(python_of(variant.engine.environment)),
        context_length=plan.serving.context_length,
        max_sequences=limits.max_sequences,
        threads=limits.threads or usable_cpus(),
        kv_cache_gib=limits.kv_cache_gib,
        tuning=limits.tuning,
        cpu_build=engine_version(variant.engine)[0] in variant.engine.cpu_distributions,
        start_timeout_s=plan.serving.start_timeout_s,
    )
    with running(variant, settings) as engine:
        held = engine.held
        note = f"{held.weight_bytes:,} bytes" if held else "the engine cannot tell them"
        findings = asyncio.run(_ask(engine, settings, references))
    return [Finding(check="weights held", failure=None, note=note), *findings]


async def _ask(
    engine: RunningEngine, settings: EngineSettings, references: list[Reference] | None
) -> list[Finding]:
    spec = engine.variant.engine
    async with aiohttp.ClientSession() as session:
        suite = Conformance(
            session,
            engine.url,
            engine.headers,
            engine.model,
            end_tokens=end_tokens(Path(settings.artifact)),
        )
        return await suite.check_all(
            spec.claims,
            takes_key=spec.takes_key,
            context_length=settings.context_length,
            references=references,
        )


def reference_scores(model: Path) -> list[Reference]:
    """Log-probabilities by transformers in float32 of some of the model's calibration texts."""
    path = calibration_plan(default_text(str(model)), samples=1, sequence_length=1).path
    request = TextsToScore(model=model, texts=tuple(read_texts(path)[:TEXTS]))
    with tempfile.TemporaryDirectory(prefix="assay-scores-") as folder:
        try:
            done = run_job(
                REFERENCE_SCORES,
                request,
                log=Path(folder) / "log",
                variables={**cleaned(os.environ), "HF_HUB_OFFLINE": "1"},
            )
        except ToolError as error:
            raise ConformanceError(
                f"transformers could not score the texts: {error.words}"
            ) from None
    return [Reference(ids=item.ids, logprobs=item.logprobs) for item in done.reply.items]
