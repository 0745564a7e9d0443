"""The result files of the quality and verdict stages, as models that refuse unknown keys."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from eval.answering import Answering, WrittenAnswers
from eval.anytime_evidence import Sums
from eval.divergence.divergence_figures import Divergence
from eval.reasons import Reason
from eval.roofline import Bound
from eval.task_score import TaskScore
from loadtest.certificate import Certificate
from loadtest.intervals import Estimate
from loadtest.load_file import LoadFigures
from loadtest.load_point import LoadPoint
from loadtest.pairing import Noise, RoundFigures
from loadtest.validity import CLIENT
from services.engine.agreement import Agreement
from services.engines.kernels import Kernels
from services.gpus.rates_job import DeviceRates


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QualityFile(_File):
    """``<variant>/quality.json``: one pass over all tasks through the endpoint.

    ``refused_tasks`` maps a task that cannot be scored, or not of this endpoint, to the reason;
    ``failed_tasks`` one that another try may finish, whose blocks before are among ``tasks``.
    ``artifact_sha256`` and ``engine_version`` are what the endpoint said it served with,
    ``agreement`` how its answers agreed with what transformers computes;
    ``inputs_sha256`` is the key of ``made_from``, which schema 2 had not. ``anytime``: it was asked
    in blocks that end when enough is known, and may go on.
    """

    schema_version: Literal[2, 3] = 3
    variant: str
    inputs_sha256: str
    made_from: dict[str, str] = {}
    artifact_sha256: str
    engine_version: str
    seconds: float
    tasks: dict[str, TaskScore]
    refused_tasks: dict[str, str] = {}
    failed_tasks: dict[str, str] = {}
    agreement: Agreement | None = None
    anytime: bool = False


class Flips(_File):
    """Answers that changed against the baseline, and McNemar's exact two-sided p-value."""

    to_wrong: int
    to_right: int
    p_value: float


class NoSignal(_File):
    """Why a task proves nothing: the baseline guesses, answers none or all right, or half of what
    it could lose is within the margin.

    ``chance`` is what a model that knows nothing scores, ``baseline`` what the baseline does, in
    the task's metric; ``p_value`` of the exact binomial test of one against the other.
    """

    kind: Literal["at_chance", "at_zero", "at_ceiling", "within_margin"]
    chance: float
    baseline: float
    p_value: float | None = None


Stopped = Literal["proven", "worse", "failed_elsewhere", "open_elsewhere", "hopeless", "all_asked"]
"""Why no more items were asked: the loss is proven within the margin among all variants, or beyond
it; another task has failed the variant, or stays undecided; the items that are left would hardly
decide it; or none are left."""


class Stratum(_File):
    """One part of a task by itself: its items, score and difference, as of the whole task."""

    items: int
    score: Estimate
    difference: Estimate | None


class TaskComparison(_File):
    """One task of one variant against the baseline, paired item by item.

    ``difference`` is variant minus baseline (accuracy: negative is a loss; nats per token:
    positive is a loss), ``noise_floor`` what asking the same weights again can change of it
    (absolute, ``eval.paired.noise_floor``). ``truncated_prompts`` did not fit the context and were
    cut. ``seconds`` is how long asking it took, ``strata`` its parts where it has several,
    ``answering`` what its answers come to where they are written.
    ``anytime``: its items were asked in blocks until it was decided, which ``stopped`` says; all
    intervals and p-values then hold at any number of items. ``sums`` are of its losses where
    answers are not right or wrong.
    ``verdict``: ``equal_or_better`` (non-inferior within the plan's margin),
    ``worse`` (inferior beyond it), ``undecided`` (the interval spans the margin), or ``no_signal``
    (the baseline's answers prove nothing: ``no_signal`` says why). From right answers alone only
    a loss can be seen: there ``worse`` stands.
    """

    metric: Literal["accuracy", "nll_per_token"]
    items: int
    score: Estimate
    difference: Estimate | None
    noise_floor: float | None
    flips: Flips | None
    margin: float
    verdict: Literal["equal_or_better", "worse", "undecided", "no_signal"]
    significant: bool
    truncated_prompts: int = 0
    no_signal: NoSignal | None = None
    seconds: float | None = None
    strata: dict[str, Stratum] = {}
    answering: Answering | None = None
    anytime: bool = False
    sums: Sums | None = None
    stopped: Stopped | None = None


class Distance(_File):
    """How fast a variant decodes and reads prompts, and what its card could do at most.

    ``decode_*`` are of all sequences together, by the median TPOT; ``prefill_*`` of one prompt, by
    the median TTFT at one stream (so the way through the service is in it). ``*_bound`` is what the
    limit waits for, ``bytes_per_token`` what a decoding step reads for each token it gives,
    ``multiplied_as`` whose measured matrix rate is the limit's. Formulas: ``eval/roofline.py``.
    """

    decode_tok_per_s: float
    decode_limit_tok_per_s: float
    decode_bound: Bound
    bytes_per_token: float
    multiplied_as: str
    prefill_tok_per_s: float | None = None
    prefill_limit_tok_per_s: float | None = None
    prefill_bound: Bound | None = None

    @property
    def decode_share(self) -> float:
        """Part of the limit that is reached, 0 to 1."""
        return self.decode_tok_per_s / self.decode_limit_tok_per_s

    @property
    def prefill_share(self) -> float | None:
        """The same of a prompt."""
        if self.prefill_tok_per_s is None or self.prefill_limit_tok_per_s is None:
            return None
        return self.prefill_tok_per_s / self.prefill_limit_tok_per_s


class LoadComparison(LoadFigures):
    """One variant at one load point: its figures, and how they compare; rates per second.

    ``*_ratio`` is variant / baseline over ``rounds``, which are what speeds are told apart by
    (``loadtest/pairing.py``); ``paired`` where the two took turns in them, as must be for what
    befell the machine to cancel, ``anytime`` where their number was not fixed beforehand.
    ``settling``: by how much requests change within a round; None of a load that changes itself.
    ``distance`` is how far it is from what its GPUs could do; None where none was watched. Costs
    are in the plan's currency; a thousand answers have the length that they had at this load.
    """

    output_tok_per_s_ratio: Estimate
    goodput_per_s: Estimate
    goodput_share: Estimate
    cost_per_million_output_tokens: float | None
    cost_per_thousand_answers: float | None = None
    rounds: tuple[RoundFigures, ...] = ()
    paired: bool = False
    anytime: bool = False
    noise: Noise | None = None
    settling: Estimate | None = None
    distance: Distance | None = None


class VariantComparison(_File):
    """Everything the verdict may use of one variant. Sizes in bytes.

    ``saturated_client`` and ``void`` say why its speeds are not to be used. ``remarks`` are what
    else is to be known of its artifact, ``kernels`` on what it was computed, ``certificate`` what
    the client adds to its latencies. ``gpu_memory_bytes`` is what its engine's processes held of
    its ``gpus`` (names by UUID), ``idle_power_w`` what those drew before the load. ``stress`` are
    loads whose figures decide nothing. ``divergence`` is its predictions' from the baseline's, by
    stratum of the texts; empty where they were not scored. ``answers`` are all that it wrote,
    and what a right one costs.
    """

    variant: str
    recipe: str
    engine: str
    bits_per_weight: float
    artifact_bytes: int
    weight_bytes: int
    held_weight_bytes: int | None
    memory_bytes: int | None
    quality: dict[str, TaskComparison]
    divergence: dict[str, Divergence] = {}
    answers: WrittenAnswers | None = None
    load: list[LoadComparison]
    stress: list[LoadComparison] = []
    saturated_client: bool
    void: list[str] = []
    refused_tasks: dict[str, str]
    remarks: list[str] = []
    agreement: Agreement | None = None
    kernels: Kernels | None = None
    certificate: Certificate | None = None
    slo_rate_per_s: Estimate | None = None
    slo_trials: int = 0
    gpus: dict[str, str] = {}
    gpu_memory_bytes: int | None = None
    idle_power_w: float | None = None

    @property
    def why_void(self) -> str:
        """Why no speed of it may be used; empty: all may."""
        return "; ".join([*([CLIENT] if self.saturated_client else []), *self.void])

    def load_at(self, point: LoadPoint | None) -> LoadComparison | None:
        """The load figures at one point, None where it was not measured."""
        return next((level for level in self.load if level.point == point), None)


class ComparisonFile(_File):
    """``comparison.json``: all paired statistics of a run.

    ``attribution`` separates engine and recipe: for a variant whose recipe also runs unquantized
    on its engine (for example ``gguf-bf16`` for every ``gguf-*``), the engine's own share of the
    quality difference and of the speed ratio, each with its interval. ``failed`` says why a
    variant has no figures, or not all of them; one that was never served is not among
    ``variants``. ``device`` is what was measured of the card: distances are from it.
    """

    schema_version: Literal[2] = 2
    run: str
    plan: str
    model: str
    baseline: str
    variants: list[VariantComparison]
    failed: dict[str, str] = {}
    attribution: dict[str, dict[str, Estimate]]
    device: DeviceRates | None = None


class Ranked(_File):
    """One variant in the verdict's ranking: which objectives it missed, which it leaves open."""

    variant: str
    passes: bool
    failed: list[Reason]
    undecided: list[Reason]
    score: float | None


class VerdictFile(_File):
    """``verdict.json``. ``sentence`` is the answer in one sentence; ``reasons`` its evidence.

    ``next_run`` is what would settle what is open, ``sensitivity`` which other margins would give
    another answer. ``records`` says of a sentence which records it rests on, as JSON pointers into
    ``comparison.json``.
    """

    schema_version: Literal[2] = 2
    outcome: Literal["recommended", "none_qualifies", "not_enough_evidence"]
    variant: str | None
    sentence: str
    reasons: list[str]
    caveats: list[str]
    ranking: list[Ranked]
    smallest_passing: str | None
    fastest_passing: str | None
    next_run: list[str] = []
    sensitivity: list[str] = []
    records: dict[str, list[str]] = {}
