"""Measure everything the explorer shows; in the ``quantize`` environment, in its own process."""

import json
import time
from collections.abc import Callable, Mapping

import psutil
import torch

from eval.explore.explorer_figures import (
    BlockPoint,
    DataSet,
    Figures,
    Histogram,
    LayerSnr,
    Sensitivity,
    Snr,
)
from eval.explore.figures_job import FIGURES, FiguresRequest
from eval.explore.in_quantize.block_sizes import block_points
from eval.explore.in_quantize.explored_formats import BY_NAME, FORMATS
from eval.explore.in_quantize.grids import grids
from eval.explore.in_quantize.live_model import LiveModel
from eval.explore.in_quantize.rounding_errors import crest, describe, measure, snr_db
from eval.explore.in_quantize.sampled_layers import Checkpoint, StoredLayer, inspect, stored_layers
from eval.explore.in_quantize.sensitivity import SEQUENCE_LENGTH, plan_work, sensitivity
from eval.explore.in_quantize.synthetic import synthetic
from quantize.calibration.calibration_set import CalibrationPlan
from quantize.calibration.in_quantize.calibration_tokens import calibration_tokens
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from quantize.validity.made_from import key_of

_INPUT_SEQUENCES = 4
_LAYER_FORMATS = ("fp8-e4m3", "mxfp4", "nvfp4", "int4-g128")
_BLOCK_DATA_VALUES = 1 << 21
# Weights, a copy of one layer, activations and log-probabilities fit beside each other.
_MEMORY_SHARE = 0.6


Tell = Callable[[Progress], None]


def carry_out(request: FiguresRequest, tell: Tell) -> Figures:
    """All figures.

    Raises:
        BadRequest: the model or the text is at fault.
    """
    torch.set_num_threads(request.threads)
    started = time.monotonic()
    try:
        figures = _figures(request, tell)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return figures.model_copy(update={"seconds": round(time.monotonic() - started, 2)})


def _figures(request: FiguresRequest, tell: Tell) -> Figures:
    checkpoint = inspect(request.model)
    tell(Progress("weights"))
    layers = list(stored_layers(checkpoint))
    inputs, felt = _on_the_model(request, checkpoint, tell)
    data = synthetic()
    groups: list[tuple[DataSet, list[torch.Tensor]]] = [(entry, [x]) for entry, x in data]
    rows = [layer.rows for layer in layers]
    made = f"linear layers of the model, stored as {checkpoint.stored_as}"
    groups.append((describe("weights", "Weights", made, rows), rows))
    if inputs:
        found = list(inputs.values())
        made = "what enters the linear layers on calibration text"
        groups.append((describe("inputs", "Layer inputs", made, found), found))
    snrs, histograms = _errors(groups, tell)
    return Figures(
        inputs_sha256=key_of(request.made_from),
        made_from=dict(request.made_from),
        model=request.name,
        parameters=checkpoint.parameters,
        stored_as=checkpoint.stored_as,
        calibration=request.calibration_name,
        seconds=0.0,
        formats=tuple(form.facts() for form in FORMATS),
        grids=grids(),
        data=tuple(entry for entry, _ in groups),
        snr=tuple(snrs),
        histograms=tuple(histograms),
        blocks=tuple(_blocks(groups, tell)),
        layers=tuple(_layers(layers, inputs)),
        sensitivity=felt,
    )


def _on_the_model(
    request: FiguresRequest, checkpoint: Checkpoint, tell: Tell
) -> tuple[Mapping[str, torch.Tensor], Sensitivity]:
    """Layer inputs and sensitivity, or the reason that they are left out."""
    gpu = torch.cuda.is_available()
    kinds = {name.removesuffix(".weight").rpartition(".")[2] for _, name, _ in checkpoint.layers}
    blocks = json.loads((request.model / "config.json").read_text()).get("num_hidden_layers", 1)
    work = plan_work(checkpoint.parameters, blocks, len(kinds), gpu=gpu)
    room = torch.cuda.mem_get_info()[0] if gpu else psutil.virtual_memory().available
    if work is None:
        return {}, _without("the model is too large to be tried layer by layer on this machine")
    if 4 * checkpoint.parameters > _MEMORY_SHARE * room:
        return {}, _without("the model does not fit into this machine's memory in float32")
    sequences = _sequences(request, _INPUT_SEQUENCES + work.tokens // SEQUENCE_LENGTH)
    tell(Progress("loading the model"))
    # The inputs come from one part of the text and the losses from another.
    held_out = sequences[_INPUT_SEQUENCES:]
    model = LiveModel(request.model, held_out, "cuda" if gpu else "cpu")
    inputs = model.inputs(sequences[:_INPUT_SEQUENCES])
    return inputs, sensitivity(model, work, tell)


def _without(why: str) -> Sensitivity:
    return Sensitivity(tokens=0, loss=None, formats=(), blocks=(), kinds=(), cells=(), why_not=why)


def _sequences(request: FiguresRequest, count: int) -> torch.Tensor:
    plan = CalibrationPlan(path=request.calibration, samples=count, sequence_length=SEQUENCE_LENGTH)
    return torch.tensor(calibration_tokens(request.model, plan))


def _errors(
    groups: list[tuple[DataSet, list[torch.Tensor]]], tell: Tell
) -> tuple[list[Snr], list[Histogram]]:
    snrs, histograms = [], []
    for entry, tensors in groups:
        tell(Progress(f"errors on {entry.label}"))
        for form in FORMATS:
            found = measure(entry.name, tensors, form)
            if found is not None:
                snrs.append(found[0])
                histograms.append(found[1])
    return snrs, histograms


def _blocks(groups: list[tuple[DataSet, list[torch.Tensor]]], tell: Tell) -> list[BlockPoint]:
    """The study of block sizes; real tensors are tried by the one in the middle of their crests."""
    tell(Progress("block sizes"))
    points = []
    for entry, tensors in groups:
        chosen = sorted(tensors, key=crest)[len(tensors) // 2]
        points += block_points(entry.name, chosen[: _BLOCK_DATA_VALUES // chosen.shape[-1]])
    return points


def _layers(layers: list[StoredLayer], inputs: Mapping[str, torch.Tensor]) -> list[LayerSnr]:
    found = []
    for layer in layers:
        given = inputs.get(layer.name)
        for form in (BY_NAME[name] for name in _LAYER_FORMATS):
            if not form.fits(layer.rows.shape[-1]):
                continue
            found.append(
                LayerSnr(
                    layer=layer.name,
                    block=layer.block,
                    kind=layer.kind,
                    format=form.name,
                    weight_db=snr_db(layer.rows, form.round(layer.rows)),
                    input_db=None if given is None else snr_db(given, form.round(given)),
                    weight_crest=crest(layer.rows),
                    input_crest=None if given is None else crest(given),
                )
            )
    return found


if __name__ == "__main__":
    serve(FIGURES, carry_out)
