"""Which layers mind: quantize one layer, leave all others alone, and see the loss rise.

The work is bounded beforehand in floating-point operations. A large model is first asked with
fewer tokens, then in coarser cells (attention and MLP, blocks in groups), and at last not at all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from eval.explore.explorer_figures import Cell, Sensitivity
from eval.explore.in_quantize.explored_format import Format, Round
from eval.explore.in_quantize.explored_formats import BY_NAME
from eval.explore.in_quantize.live_model import LiveModel
from quantize.jobs.job_module import Progress

SEQUENCE_LENGTH = 256
_TOKENS = (2048, 1024, 512, 256)
_MOST_GROUPS = 8
_CPU_OPERATIONS, _GPU_OPERATIONS = 2.5e12, 2.0e15
# Coarse cells may cost more before the study is given up: a model that large is slow anyway.
_COARSE_FACTOR = 8
# A cell runs the blocks from its own on: half of the model on average, and the output layer.
_MEAN_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One format as it is tried; ``inputs``: what enters the layer is rounded as well."""

    form: Format
    inputs: bool = False

    @property
    def name(self) -> str:
        """The format, with the mark of rounded inputs."""
        return f"{self.form.name}+inputs" if self.inputs else self.form.name


TRIALS = (
    Trial(form=BY_NAME["fp8-e4m3"]),
    Trial(form=BY_NAME["int4-g128"]),
    Trial(form=BY_NAME["mxfp4"]),
    Trial(form=BY_NAME["nvfp4"]),
    Trial(form=BY_NAME["nvfp4"], inputs=True),
)


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is asked: tokens, and how the layers are put together into cells."""

    tokens: int
    coarse: bool


def plan_work(parameters: int, blocks: int, kinds: int, *, gpu: bool) -> Work | None:
    """The most telling work within the bound; None where not even the least is.

    A forward pass costs two operations per parameter and token (a multiplication, an addition).
    """
    budget = _GPU_OPERATIONS if gpu else _CPU_OPERATIONS
    for coarse, choices in ((False, _TOKENS), (True, _TOKENS[-1:])):
        cells = min(blocks, _MOST_GROUPS) * 2 if coarse else blocks * kinds
        bound = budget * _COARSE_FACTOR if coarse else budget
        for tokens in choices:
            if cells * len(TRIALS) * tokens * 2 * parameters * _MEAN_SHARE <= bound:
                return Work(tokens=tokens, coarse=coarse)
    return None


def sensitivity(model: LiveModel, work: Work, tell: Callable[[Progress], None]) -> Sensitivity:
    """Every cell of every format."""
    cells_of = _cells(list(model.matrices()), len(model.blocks), coarse=work.coarse)
    losses = model.losses(model.log_probs)
    cells = []
    for number, trial in enumerate(TRIALS, 1):
        tell(Progress("sensitivity", number, len(TRIALS), note=trial.name))
        for (block, kind), parts in cells_of.items():
            cells.append(_cell(model, trial, block, kind, parts, losses))
    return Sensitivity(
        tokens=int(losses.numel()),
        loss=float(losses.mean()),
        formats=tuple(trial.name for trial in TRIALS),
        blocks=tuple(dict.fromkeys(block for block, _ in cells_of)),
        kinds=tuple(dict.fromkeys(kind for _, kind in cells_of)),
        cells=tuple(cells),
    )


def _cells(
    matrices: Sequence[tuple[int, str]], blocks: int, *, coarse: bool
) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """The layers of each cell, by the names of its block (or blocks) and kind."""
    if not coarse:
        return {(str(block), kind): [(block, kind)] for block, kind in matrices}
    size = -(-blocks // _MOST_GROUPS)
    cells: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for block, kind in matrices:
        first = block // size * size
        last = min(first + size, blocks) - 1
        part = "attention" if kind in ("q_proj", "k_proj", "v_proj", "o_proj") else "MLP"
        name = str(first) if first == last else f"{first}–{last}"
        cells.setdefault((name, part), []).append((block, kind))
    return cells


def _cell(
    model: LiveModel,
    trial: Trial,
    block: str,
    kind: str,
    parts: Sequence[tuple[int, str]],
    losses: torch.Tensor,
) -> Cell:
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(_quantized(model, trial, *part))
        log_probs = model.from_block(min(index for index, _ in parts))
    rise = model.losses(log_probs) - losses
    before = model.log_probs
    divergence = (before.exp() * (before - log_probs)).sum(-1).mean()
    return Cell(
        format=trial.name,
        block=block,
        kind=kind,
        rise=float(rise.mean()),
        rise_error=float(rise.std()) / rise.numel() ** 0.5,
        divergence=max(0.0, float(divergence)),
    )


@contextmanager
def _quantized(model: LiveModel, trial: Trial, block: int, kind: str) -> Iterator[None]:
    """The layers of that kind in a block, rounded; restored afterwards."""
    form = trial.form
    saved = []
    for parameter in model.matrices()[block, kind]:
        if form.fits(parameter.shape[-1]):
            saved.append((parameter, parameter.data))
            parameter.data = form.round(parameter.data)
    hooks = [
        module.register_forward_pre_hook(_rounding(form.round))
        for module in (model.linears(block, kind) if trial.inputs else [])
        if form.fits(module.in_features)
    ]
    try:
        yield
    finally:
        for parameter, data in saved:
            parameter.data = data
        for hook in hooks:
            hook.remove()


def _rounding(rounded: Round) -> Callable[..., tuple[torch.Tensor, ...]]:
    def hook(_module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (rounded(given[0]), *given[1:])

    return hook
