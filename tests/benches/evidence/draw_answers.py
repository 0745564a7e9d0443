"""Predictions and written answers as runs bring them, of which the truth is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from eval.answering import Counting, answered_alike, inflation, per_right, quotient
from eval.divergence.compare_texts import Apart, compare_texts
from eval.divergence.divergence_figures import WHOLE, Divergence
from eval.divergence.token_divergence import Floats, Ints, TokenDivergence
from eval.samples import Sample
from loadtest.intervals import Estimate
from loadtest.pairing import student_interval

Draw = Callable[[Generator], Sequence[Estimate]]
CONFIDENCE = 0.95
FIXED = Counting(confidence=CONFIDENCE)
# A divergence's noise differs from text to text and from token to token by such factors (of e).
TEXT_SPREAD, TOKEN_SPREAD, NOISE = 0.5, 1.0, 0.03
AGREE, RISE = 0.9, 0.02
WORDS, LENGTH_SPREAD, OWN_SPREAD = 60.0, 0.6, 0.3
ITEMS, RIGHT, SPEED, SPEED_NOISE, ROUNDS = 240, 0.6, 100.0, 0.04, 6


@dataclass(frozen=True, kw_only=True)
class _Tokens:
    """``[tokens]`` each: which text, how much noise shows there, and the first pass's noise."""

    text: Ints
    scale: Floats
    first: Floats


def _tokens(rng: Generator, texts: int) -> _Tokens:
    lengths = np.round(rng.lognormal(4.5, 0.5, texts)).astype(int) + 10
    text = np.repeat(np.arange(texts), lengths)
    own = rng.normal(0, TEXT_SPREAD, texts)[text]
    scale = np.exp(own + rng.normal(0, TOKEN_SPREAD, len(text)))
    return _Tokens(text=text, scale=scale, first=rng.normal(0, NOISE, len(text)))


def _pass(rng: Generator, tokens: _Tokens, moved: float) -> Apart:
    """Half a squared difference of noises: what a divergence is where it is small."""
    count = len(tokens.text)
    apart = tokens.first - rng.normal(0, NOISE, count) - moved
    agree = rng.normal(AGREE, 0.05, tokens.text[-1] + 1)[tokens.text]
    rise = RISE + rng.normal(0, 0.03, tokens.text[-1] + 1)[tokens.text]
    return Apart(
        tokens=TokenDivergence(
            text=tokens.text,
            kl=tokens.scale * apart**2 / 2,
            remainder=np.full(count, 0.05),
            same_first=(rng.random(count) < agree).astype(float),
            rise=rise + rng.normal(0, 0.3, count),
        ),
        parted=[],
        answer_text=[],
    )


def divergence(texts: int, moved: float, told: Callable[[Divergence], Estimate | None]) -> Draw:
    """A variant that is ``moved`` from the baseline by more than noise, asked of so many texts."""

    def draw(rng: Generator) -> list[Estimate]:
        tokens = _tokens(rng, texts)
        again, mine = _pass(rng, tokens, 0.0), _pass(rng, tokens, moved)
        found = told(compare_texts(mine, again, [""] * texts, CONFIDENCE)[WHOLE])
        return [] if found is None else [found]

    return draw


def true_kl(moved: float) -> float:
    """What a token diverges by in the long run, over tokens of all texts."""
    scale = float(np.exp((TEXT_SPREAD**2 + TOKEN_SPREAD**2) / 2))
    return scale * (2 * NOISE**2 + moved**2) / 2


def _sample(number: int, *, right: bool, tokens: float) -> Sample:
    return Sample(
        task="t",
        item=number,
        prompt_sha256=str(number),
        correct=right,
        score=float(right),
        nll=None,
        tokens=None,
        bytes=None,
        answer=None,
        target=None,
        output_tokens=max(1, round(tokens)),
        outcome="right" if right else "wrong",
    )


def written(rng: Generator, longer: float) -> tuple[list[Sample], list[Sample]]:
    """A variant's answers and the baseline's: longer by a factor, of the same accuracy."""
    asked = rng.lognormal(np.log(WORDS), LENGTH_SPREAD, ITEMS)
    sides = []
    for factor in (longer, 1.0):
        own = asked * factor * rng.lognormal(-(OWN_SPREAD**2) / 2, OWN_SPREAD, ITEMS)
        right = rng.random(ITEMS) < RIGHT
        sides.append(
            [
                _sample(number, right=bool(good), tokens=float(tokens))
                for number, (good, tokens) in enumerate(zip(right, own, strict=True))
            ]
        )
    return sides[0], sides[1]


def longer(factor: float, *, alike: bool) -> Draw:
    """How many times as many tokens the variant writes."""

    def draw(rng: Generator) -> list[Estimate]:
        pairs = list(zip(*written(rng, factor), strict=True))
        told = inflation(answered_alike(pairs) if alike else pairs, FIXED)
        return [] if told is None else [told]

    return draw


def seconds_per_right(rng: Generator) -> list[Estimate]:
    """The endpoint's seconds for a right answer, of a speed that was measured too."""
    tokens = per_right(written(rng, 1.0)[0], FIXED)
    assert tokens is not None
    speed = student_interval(rng.normal(SPEED, SPEED_NOISE * SPEED, ROUNDS))
    return [quotient(tokens, speed)]


def true_seconds_per_right() -> float:
    """Of all answers' mean length over the share that is right."""
    return WORDS * float(np.exp(LENGTH_SPREAD**2 / 2)) / RIGHT / SPEED
