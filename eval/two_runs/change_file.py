"""``change.json``: what changed from one run to another, as a model that refuses unknown keys.

Its JSON Schema is published beside this file, for those who read it from other languages.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from loadtest.intervals import Estimate

Finding = Literal["worse", "better", "same", "undecided", "void", "not_judged"]
Metric = Literal[
    "accuracy",
    "nll_per_token",
    "output_tok_per_s",
    "ttft_p50_s",
    "tpot_p50_s",
    "weight_bytes",
    "memory_bytes",
]
# Of these more is better, of all others less.
MORE_IS_BETTER: frozenset[Metric] = frozenset({"accuracy", "output_tok_per_s"})
QUALITY: frozenset[Metric] = frozenset({"accuracy", "nll_per_token"})


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunName(_File):
    """Which run: its directory's name, its date and revision, the verdict's sentence."""

    run: str
    date: str | None
    git_revision: str | None
    outcome: str
    variant: str | None
    sentence: str


class Change(_File):
    """One figure of one variant in both runs; times in seconds, accuracy 0 to 1, nats, bytes.

    ``change`` is after minus before for quality, after over before for everything else, with the
    interval at the plan's confidence. ``paired``: over ``units`` items that both runs asked, word
    for word; else over the items (or rounds) of two independent samples, of which ``units`` are
    the fewer. ``allowed`` is what is not charged (a difference, or a share of the ratio).
    ``p_value`` is of "it changed by no more than that", ``corrected`` whether it is rejected among
    all that is tested. ``finding``: ``worse`` and ``better`` are proven, ``same`` is proven to lie
    within the margin; a ``void`` speed was disturbed, what is ``not_judged`` has no test or asks
    for other work: ``why`` says the reason.
    """

    variant: str
    metric: Metric
    task: str | None = None
    load: str | None = None
    before: Estimate
    after: Estimate
    change: Estimate
    paired: bool
    units: int | None
    allowed: float
    margin: float
    p_value: float | None
    corrected: bool = False
    finding: Finding = "not_judged"
    why: str = ""

    @property
    def place(self) -> str:
        """What the figure is of: the task, the load, or nothing."""
        return self.task or self.load or ""


class Setting(_File):
    """Something that is not the same in both runs and may be the cause; None where it was not."""

    kind: Literal["machine", "software", "engine", "weights", "plan"]
    name: str
    before: str | None
    after: str | None


class ChangeFile(_File):
    """``change.json``. ``outcome`` is ``worse`` where at least one figure is proven worse, else
    ``void`` where one was disturbed or is lost, or none could be judged: what that hides is not
    known.

    ``confidence`` is that of all tests together (Holm), ``tests`` how many these are,
    ``tolerance`` the share by which speeds may differ between two sessions on one machine.
    ``left_out`` says why a variant is in one run alone, ``lost`` why something that was measured
    before and is asked for still has no figure now.
    """

    schema_version: Literal[1] = 1
    before: RunName
    after: RunName
    outcome: Literal["worse", "void", "not_worse"]
    sentence: str
    confidence: float
    tests: int
    tolerance: float
    changes: list[Change]
    settings: list[Setting]
    left_out: dict[str, str] = {}
    lost: dict[str, str] = {}
    caveats: list[str] = []
