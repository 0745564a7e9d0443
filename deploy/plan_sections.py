"""The sections of a plan that say what is made, measured and asked for."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field


def _origin(text: str) -> str:
    if text == "*" or _ORIGIN.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no origin: write http(s)://host[:port], or *")


_ORIGIN = re.compile(r"https?://[^/,?#\s]+")
# Whence a page comes, as browsers write it.
Origin = Annotated[str, AfterValidator(_origin)]


def later(default: Any, **bounds: Any) -> Any:
    """A key that came later: left out of what is written while it has its default.

    So a plan that does not name it has the hash, and the results, that it had before.
    """
    return Field(default=default, exclude_if=lambda value: value == default, **bounds)


class Section(BaseModel):
    """A part of a plan: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Calibration(Section):
    """The one calibration set of all calibrated recipes.

    ``text`` is ``bundled`` (the default of the bundled model), ``general`` (of every other), or a
    file: ``.txt``, or JSONL with ``text`` or ``messages``. ``samples`` sequences of
    ``sequence_length`` tokens are taken from it in order.
    """

    text: str = "bundled"
    samples: int = Field(default=64, ge=1)
    sequence_length: int = Field(default=512, ge=16)


class Sampling(Section):
    """What a request that leaves a field of it out is drawn with, the same on every engine.

    None is neutral. What the model's ``generation_config.json`` wishes counts where it is written
    here, and then on every engine.
    """

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)


class Quality(Section):
    """The lm-eval tasks, asked through the endpoints; ``limit`` caps the items per task.

    ``include_path`` is a folder of one's own tasks (``lm_eval --include_path``; data files by
    absolute paths). ``num_fewshot`` puts as many examples before every question, whatever a task
    says itself; ``apply_chat_template`` puts each question into the model's own chat template,
    examples as earlier turns. Neither touches tasks that score whole texts; those of
    ``assay_general_*`` that are chats go through the template as they are, without examples.
    ``seed`` draws a fresh instance of every ``assay_general_*`` task: other sums, other texts,
    other sides of the same facts. Of these a ``limit`` beyond their size makes more.
    ``divergence`` is of how many texts every token's prediction is held against the baseline's
    (``eval/divergence``); 0: of none.

    With ``stop_early`` a task is asked in blocks, every variant in the same order, until its loss
    is proven to be within the margin or beyond it, or will hardly be within ``limit``.
    """

    tasks: tuple[str, ...] = Field(
        default=("assay_text", "assay_choice", "assay_words"), min_length=1
    )
    include_path: str | None = later(None)
    num_fewshot: int | None = later(None, ge=0)
    apply_chat_template: bool = later(False)
    seed: int = later(0, ge=0)
    divergence: int = later(120, ge=0)
    limit: int | None = Field(default=None, ge=1)
    stop_early: bool = later(False)
    concurrency: int = Field(default=8, ge=1)


class Slo(Section):
    """Service-level objective of one request, in seconds; what is None is not asked for."""

    ttft_s: float | None = Field(default=None, gt=0)
    tpot_s: float | None = Field(default=None, gt=0)
    e2e_s: float | None = Field(default=None, gt=0)


class Objectives(Section):
    """What the verdict must respect, and what it then maximises.

    ``accuracy_margin`` is the loss of accuracy (0 to 1) and ``nll_margin`` the rise of the
    negative log-likelihood (nats per token) against the baseline that is still acceptable, at
    ``confidence``: that of the whole verdict, however many variants and objectives it rests on
    (``eval/decision/families.py``). ``memory_gib`` bounds the memory in use of one endpoint.
    ``prefer`` ranks the variants that pass; ``load`` is the load point at which speed is compared
    (None: the highest), which a closed loop may call ``concurrency``. ``price_per_hour`` is the
    machine's price in any currency.
    """

    slo: Slo = Slo()
    accuracy_margin: float = Field(default=0.02, ge=0, le=1)
    nll_margin: float = Field(default=0.05, ge=0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    memory_gib: float | None = Field(default=None, gt=0)
    price_per_hour: float | None = Field(default=None, gt=0)
    prefer: Literal["goodput", "latency", "memory"] = "goodput"
    load: float | None = Field(
        default=None, gt=0, validation_alias=AliasChoices("load", "concurrency")
    )


class Placement(Section):
    """What every variant reserves on the node it runs on, on an existing Ray cluster only.

    ``cpus``: None reserves what an engine computes with (``serving.threads``, else 1). ``gpus``:
    None reserves one where the engine uses a GPU. ``resources`` are custom ones that nodes offer
    (``ray start --resources '{"assay": 2}'`` takes two variants that ask for ``assay: 1``).
    """

    cpus: float | None = Field(default=None, ge=0)
    gpus: float | None = Field(default=None, ge=0)
    resources: dict[str, Annotated[float, Field(gt=0)]] = {}
