"""Puts beside each measured speed what the card could do at most: who multiplies what, on which.

The formulas are those of ``eval/roofline.py``; here stands what a variant is in their terms.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from deploy.plan_load import Load
from eval.roofline import Card, Work, decode_limit, prefill_limit, work_of
from eval.schema import Distance, LoadComparison, VariantComparison
from quantize.artifact.manifest import Manifest
from quantize.machine import device_of
from quantize.source.model_shape import ModelShape, ShapeError, read_shape
from quantize.source.source_config import read_any_config
from services.gpus.rates_job import DeviceRates
from services.variants import Variant

RATES_NAME = "device-rates.json"
_WIDE_BITS = 16
# An INT8 rate below this part of FP8's is not what the card reaches.
_INT8_OF_FP8 = 0.75
# What the inputs of a layer are multiplied as, by how its format rounds them.
_MULTIPLIED_AS = {
    **dict.fromkeys(("fp8", "fp8-token", "fp8-block", "mxfp8"), "fp8"),
    **dict.fromkeys(("int8", "int8-token"), "int8"),
    **dict.fromkeys(("nvfp4", "mxfp4"), "fp4"),
}
# Bytes of a stored key or value, by the engines' names of types; those of llama.cpp share a scale
# of two bytes among 32 values, NVFP4 one of one byte among 16.
_CACHE_BYTES = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32, "nvfp4": 9 / 16}


def read_rates(run_dir: Path) -> DeviceRates | None:
    """What was measured of the card in a run, less what cannot be; None where nothing was."""
    try:
        return plausible(DeviceRates.model_validate_json((run_dir / RATES_NAME).read_bytes()))
    except (OSError, ValidationError):
        return None


def plausible(rates: DeviceRates) -> DeviceRates:
    """The same without rates that engines exceed, of other kernels than theirs.

    Such are rates of eight bits below that of 16, for fewer bits are never slower, and one of INT8
    far below FP8's: cards that multiply both do it equally fast. torch's INT8 product reached 827
    TFLOP/s on an H100 that multiplied 1,414 in FP8, and vLLM's prefill with INT8 as much as that
    with all its other kernels beside.
    """
    found = rates.matrix_flop_per_s
    least = dict.fromkeys(found, found.get("bf16", 0.0))
    least["int8"] = max(least.get("int8", 0.0), _INT8_OF_FP8 * found.get("fp8", 0.0))
    kept = {kind: rate for kind, rate in found.items() if rate >= least[kind]}
    return rates.model_copy(update={"matrix_flop_per_s": kept})


def shape_in(folder: Path) -> ModelShape | None:
    """The shape of the model in a folder; None of an architecture that we do not know."""
    try:
        return read_shape(read_any_config(folder).content)
    except (ShapeError, OSError, ValueError):
        return None


def multiplied_as(variant: Variant, rates: DeviceRates) -> str:
    """What a variant's matrices are multiplied as on a card: ``bf16``, ``fp8``, ``int8``, ``fp4``.

    Weights that are only read are multiplied in 16 bits.
    """
    form = variant.recipe.format
    if variant.engine.rounds_quantized and form.bits != _WIDE_BITS:
        return "int8"
    device = device_of(rates.capability) if rates.capability else None
    native = device is not None and variant.arithmetic_on(device) == "native"
    return _MULTIPLIED_AS.get(form.inputs or "none", "bf16") if native else "bf16"


def cache_value_bytes(variant: Variant) -> float:
    """Bytes of one stored key or value."""
    dtype = variant.kv_cache
    if dtype is None:
        return float(variant.recipe.format.cache_bytes)
    return _CACHE_BYTES.get(dtype, 1.0)


def work_of_variant(variant: Variant, manifest: Manifest, shape: ModelShape) -> Work:
    """What a variant moves and computes, by its manifest's sizes."""
    bits = manifest.bits_per_weight
    return work_of(
        shape,
        weight_bytes=manifest.weight_bytes,
        bits_per_weight=bits,
        embedding_bits=_WIDE_BITS if manifest.weight_format == "safetensors" else bits,
        value_bytes=cache_value_bytes(variant),
    )


def with_distances(
    compared: VariantComparison,
    variant: Variant,
    manifest: Manifest,
    shape: ModelShape,
    rates: DeviceRates,
    load: Load,
) -> VariantComparison:
    """The same with its distance from the card's limit at every load point that has one.

    As it was for a variant that uses no GPU, or another kind than the one that was measured.
    """
    if set(compared.gpus.values()) != {rates.name}:
        return compared
    cards, kind = len(compared.gpus), multiplied_as(variant, rates)
    rate = rates.matrix_flop_per_s.get(kind)
    card = Card(
        bytes_per_s=cards * rates.read_bytes_per_s,
        flop_per_s=None if rate is None else cards * rate,
    )
    work = work_of_variant(variant, manifest, shape)
    levels: Sequence[LoadComparison] = [
        level.model_copy(update={"distance": _distance(level, work, card, kind, load)})
        for level in compared.load
    ]
    return compared.model_copy(update={"load": levels})


def _distance(
    level: LoadComparison, work: Work, card: Card, kind: str, load: Load
) -> Distance | None:
    """From the medians of TPOT and, at one stream, TTFT; None where the load fixes no batch.

    Of a prefix that prompts share an engine needs to compute nothing, and to read its keys and
    values once a step for all; answers are as long as they came. A limit that was exceeded is
    none, and is not told.
    """
    sequences, tpot, ttft = level.point.sequences, level.tpot_s.get("p50"), level.ttft_s.get("p50")
    if sequences is None or tpot is None or tpot.value <= 0:
        return None
    prompt_tokens, prefix = round(load.prompt_tokens.average), load.shared_prefix_tokens
    answer = level.answers.tokens.value if level.answers else load.output_tokens.average
    shared = prefix * min(sequences, load.shared_prefixes) / sequences
    context = prompt_tokens + answer / 2 + shared
    step = decode_limit(work, card, sequences=sequences, context=context)
    prefill = prefill_limit(work, card, prompt=prompt_tokens, prefix=prefix)
    if step.seconds > tpot.value:
        return None
    alone = sequences == 1 and ttft is not None and card.flop_per_s is not None
    alone = alone and ttft is not None and ttft.value >= prefill.seconds
    return Distance(
        decode_tok_per_s=sequences / tpot.value,
        decode_limit_tok_per_s=sequences / step.seconds,
        decode_bound=step.bound,
        bytes_per_token=work.step_bytes(sequences, context) / sequences,
        multiplied_as=kind,
        prefill_tok_per_s=prompt_tokens / ttft.value if alone and ttft else None,
        prefill_limit_tok_per_s=prompt_tokens / prefill.seconds if alone else None,
        prefill_bound=prefill.bound if alone else None,
    )
