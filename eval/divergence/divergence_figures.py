"""What is told of a variant's divergence from the baseline, as models that refuse unknown keys."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from loadtest.intervals import Estimate

WHOLE = "all texts"

Reading = Literal["floor", "screen", "apart"]


class _Figures(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Floor(_Figures):
    """The same of the baseline asked again: what nothing of a variant explains."""

    kl: float
    p99: float
    worst_tenth: float
    same_first: float
    same_answers: float | None


class GreedyAnswers(_Figures):
    """Greedy answers to the texts' beginnings: how many are the baseline's to the last token.

    ``parted_at`` is the token (from 1) by which half of all answers have parted from the
    baseline's; None where fewer have.
    """

    answers: int
    same: Estimate
    parted_at: int | None


class Divergence(_Figures):
    """One stratum of one variant; divergences in nats per token (``token_divergence.py``).

    ``kl`` is the mean with its interval over texts, ``excess`` by how much it exceeds the floor,
    paired text by text; ``p99`` is exceeded by a hundredth of the tokens, ``worst_tenth`` the mean
    of the tenth that is worst. ``same_first`` is the share of tokens of which both variants think
    the same likeliest, ``perplexity_ratio`` variant over baseline, ``remainder`` the probability
    that the known tokens leave out, on average. No interval of fewer texts than a bootstrap takes.

    ``reading``: ``floor`` (not told from the baseline asked again), ``screen`` (something differs;
    too near the floor, or without a change of the likelihood, it ranks nothing: arXiv 2606.19558),
    or ``apart``.
    """

    texts: int
    tokens: int
    kl: Estimate
    p99: float
    worst_tenth: float
    same_first: Estimate
    perplexity_ratio: Estimate
    remainder: float
    answers: GreedyAnswers | None
    floor: Floor | None
    excess: Estimate | None
    reading: Reading
