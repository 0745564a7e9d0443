"""Hold an engine against its artifact: the weights it has loaded, and how it answers."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp

from quantize.agreement.agreement_file import read_agreement
from quantize.artifact.end_tokens import end_tokens
from quantize.artifact.manifest import ArtifactError, Manifest
from quantize.formats.layer_format import InputKind
from quantize.recipes.catalogue import UNQUANTIZED_BITS, find_recipe
from services.engine.agreement import (
    BY_OPTION,
    PLAIN,
    ROUNDED,
    TIMES_MOVED,
    Agreement,
    judge,
    not_held,
)
from services.engine.child import EngineChild, EngineError
from services.engine.probe_questions import ProbeQuestions
from services.engine.scored_sequence import Limits
from services.engines.kernels import Kernels, completed
from services.engines.spec import EngineSpec, HeldWeights, Launch
from services.variants import Variant

_EIGHT_BITS: frozenset[InputKind] = frozenset(
    {"fp8", "fp8-token", "fp8-block", "int8", "int8-token", "mxfp8"}
)


class DisagreementError(EngineError):
    """A variant that answers otherwise than its weights do; ``agreement`` says by how much."""

    def __init__(self, variant: str, agreement: Agreement) -> None:
        super().__init__(f"{variant} {'; it '.join(agreement.reasons)}")
        self.agreement = agreement


async def until_proven(
    child: EngineChild, session: aiohttp.ClientSession, timeout_s: float
) -> HeldWeights | None:
    """Wait until a started engine is ready, and return what it holds: what its artifact promises.

    None where the engine has no way to tell.

    Raises:
        EngineError: it is not ready in time, or does not answer the question.
        ArtifactError: it holds something else, or computes it as its artifact does not say.
    """
    await child.wait_ready(session, timeout_s)
    held = await child.held_weights(session)
    if held is None:
        return None
    logged = child.spec.kernels_in_log(await asyncio.to_thread(child.log.text))
    kernels = completed(held.kernels, logged)
    if kernels is not None:
        held = replace(held, kernels=prove_kernels(child.spec, child.launch, kernels))
    prove_weights(child.spec, child.launch.manifest, held)
    return held


def prove_kernels(spec: EngineSpec, launch: Launch, kernels: Kernels) -> Kernels:
    """The kernels with what must be said of them.

    Raises:
        ArtifactError: they do not compute what the artifact says; with the remedy.
    """
    recipe = find_recipe(launch.manifest.recipe)
    judged = spec.judge_kernels(kernels, recipe.format.name, launch.tuning)
    if judged.refusal is not None:
        raise ArtifactError(f"{recipe.name}: {judged.refusal}")
    return kernels.model_copy(update={"remarks": judged.remarks})


def prove_weights(spec: EngineSpec, manifest: Manifest, held: HeldWeights) -> None:
    """Refuse an engine that holds other weights than the manifest promises.

    Catches a quantized checkpoint that an engine silently serves unquantized: the sizes differ
    by the ratio of the formats.

    Raises:
        ArtifactError: naming both sizes and the engine's own names for its layers.
    """
    low, high = spec.expected_weight_bytes(manifest)
    if low <= held.weight_bytes <= high:
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(held.kinds.items()))
    raise ArtifactError(
        f"{manifest.recipe}: {spec.title} holds {held.weight_bytes / 1e6:.1f} MB of weights "
        f"({kinds}), the manifest promises {manifest.weight_bytes / 1e6:.1f} MB at "
        f"{manifest.bits_per_weight:.2f} bits per weight: it does not serve what the artifact "
        "says; delete the artifact and run `make quantize`"
    )


async def prove_answers(
    child: EngineChild, session: aiohttp.ClientSession, variant: Variant
) -> tuple[Mapping[str, str | None], Agreement]:
    """What an engine that is ready can do (by claim: None, or what failed), and its agreement.

    Raises:
        DisagreementError: it answers otherwise than its weights do.
    """
    launch = child.launch
    questions = ProbeQuestions(
        session,
        child.base_url,
        child.headers,
        launch.served_name,
        end_tokens=end_tokens(launch.artifact),
        rounds_inputs=rounds_inputs(variant),
    )
    capabilities = await questions.run(child.spec.claims)
    proven = frozenset(claim for claim, failure in capabilities.items() if failure is None)
    agreement = await _agreement(
        questions, variant, launch.manifest, launch.artifact, launch.context_length, proven
    )
    if agreement.state == "differs":
        raise DisagreementError(variant.name, agreement)
    return capabilities, agreement


async def _agreement(
    questions: ProbeQuestions,
    variant: Variant,
    manifest: Manifest,
    artifact: Path,
    context_length: int,
    proven: frozenset[str],
) -> Agreement:
    file = read_agreement(artifact)
    if file is None or file.made_from["artifact"] != manifest.content_sha256:
        return not_held(
            "transformers has not scored this artifact (agreement.json is missing or of another "
            "one): run `make quantize`"
        )
    answers = await questions.ask(file.probe, proven, context_length)
    return judge(file, answers, limits_of(variant))


def limits_of(variant: Variant) -> Limits:
    """How far a variant may be off by what its engine rounds beside the weights."""
    limits = _own_limits(variant)
    kinds = {layer.inputs for layer in variant.recipe.format.layers} - {"none"}
    if kinds and kinds <= _EIGHT_BITS:
        return replace(limits, times_moved=TIMES_MOVED)
    return limits


def _own_limits(variant: Variant) -> Limits:
    if variant.kv_cache is not None or variant.engine_build is not None:
        return BY_OPTION
    return ROUNDED if rounds_inputs(variant) else PLAIN


def rounds_inputs(variant: Variant) -> bool:
    """Whether what layers multiply is rounded: by the format, or by the engine for itself."""
    form = variant.recipe.format
    rounds_quantized = variant.engine.rounds_quantized and form.bits != UNQUANTIZED_BITS
    return form.rounds_inputs or rounds_quantized
