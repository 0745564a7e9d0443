"""How often the intervals that a report prints hold the truth, where the truth is known.

Each case draws data as a run brings them and forms the interval by the product's own function.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from deploy.plan_sections import Slo
from eval.margins import decide_non_inferiority
from loadtest.anytime import confidence_sequence
from loadtest.closed_loop import ClosedLoop
from loadtest.clustered import tail_estimate
from loadtest.intervals import Estimate
from loadtest.pairing import RoundFigures, ratio, settling
from loadtest.records import RequestRecord
from loadtest.stats import (
    bootstrap_ratio,
    normal_quantile,
    paired_proportion_interval,
    wilson_interval,
)
from loadtest.summary import (
    PERCENTILES,
    Metric,
    answers,
    goodput,
    output_throughput,
    percentiles,
)
from tests.benches.evidence.draw_answers import (
    AGREE,
    CONFIDENCE,
    RISE,
    Draw,
    divergence,
    longer,
    seconds_per_right,
    true_kl,
    true_seconds_per_right,
)

LEAST, MOST = 0.93, 0.97
# A load test as the bundled plans have it; in blocks, as long as each percentile's interval takes.
ROUNDS, STREAMS, BLOCKS = 6, 4, 8
LONGER = {"p50": BLOCKS, "p90": 16, "p95": 30}
LONGEST = 120
ROUND_NOISE, BLOCK_NOISE, REQUEST_NOISE = 0.04, 0.08, 0.03
LOOKS, OUTPUT_TOKENS = 24, 16


@dataclass(frozen=True, kw_only=True)
class Case:
    """An interval, the data it is formed of, and the truth.

    ``draw`` returns the intervals of one run; all must hold the truth. ``exact`` is False where the
    interval is built to hold it more often than it says.
    """

    name: str
    draw: Draw
    truth: float
    exact: bool = True


def holds(case: Case, rng: Generator) -> bool:
    """Whether one run's intervals hold the truth; one without bounds says nothing false."""
    return all(found.bounds is None or found.covers(case.truth) for found in case.draw(rng))


def coverage(case: Case, simulations: int, seed: int) -> float:
    """The share of runs whose intervals hold the truth."""
    rng = np.random.default_rng(seed)
    return float(np.mean([holds(case, rng) for _ in range(simulations)]))


def _share(items: int, right: float) -> Draw:
    return lambda rng: [wilson_interval(int(rng.binomial(items, right)), items, CONFIDENCE)]


def _fractions(items: int, mean: float) -> Draw:
    """Answers that are partly right: four times as many as there are parts of one."""

    def draw(rng: Generator) -> list[Estimate]:
        return [bootstrap_ratio(rng.binomial(4, mean, items) / 4, np.ones(items), CONFIDENCE)]

    return draw


def _flips(items: int, lost: float, gained: float) -> Draw:
    def draw(rng: Generator) -> list[Estimate]:
        to_wrong, to_right, _ = rng.multinomial(items, [lost, gained, 1 - lost - gained])
        return [paired_proportion_interval(int(to_wrong), int(to_right), items, CONFIDENCE)]

    return draw


def _documents(count: int, mean: float, spread: float) -> Draw:
    """Nats per token of texts of very different lengths."""

    def draw(rng: Generator) -> list[Estimate]:
        tokens = np.round(rng.lognormal(5, 0.6, count)) + 5
        nats = tokens * rng.normal(mean, spread, count)
        return [bootstrap_ratio(nats, tokens, CONFIDENCE, seed=int(rng.integers(1 << 31)))]

    return draw


def _lopsided(count: int, mean: float, shape: float) -> Draw:
    """The same where a few texts lose most of all that is lost."""

    def draw(rng: Generator) -> list[Estimate]:
        tokens = np.round(rng.lognormal(5, 0.6, count)) + 5
        return [bootstrap_ratio(tokens * rng.gamma(shape, mean / shape, count), tokens, CONFIDENCE)]

    return draw


def _rounds(rng: Generator, speed: float, common: Sequence[float], at: str) -> list[RoundFigures]:
    noise = rng.normal(0, 0.017, len(common))
    return [
        RoundFigures(
            round=number,
            started_at=f"{at}:{number}",
            output_tok_per_s=speed * float(np.exp(shared + own)),
            goodput_per_s=1.0,
            e2e_p50_s=1.0,
        )
        for number, (shared, own) in enumerate(zip(common, noise, strict=True))
    ]


def _ratio(paired: bool) -> Draw:
    """Two variants in turns beside a neighbour, or each at its own time."""

    def draw(rng: Generator) -> list[Estimate]:
        one, other = rng.normal(0, 0.2, (2, ROUNDS))
        mine = _rounds(rng, 130.0, one, "a")
        theirs = _rounds(rng, 100.0, one if paired else other, "a" if paired else "b")
        found = ratio(mine, theirs)
        return [] if found is None else [found]

    return draw


def _looked_at(rng: Generator) -> list[Estimate]:
    values = rng.normal(0.3, 1.0, LOOKS)
    return [confidence_sequence(values[: count + 1]) for count in range(1, LOOKS)]


def records_of(rng: Generator, blocks: int = BLOCKS) -> list[RequestRecord]:
    """Requests of a batching engine: rounds differ, and so do the blocks within one."""
    found, point = [], ClosedLoop(STREAMS)
    for number in range(ROUNDS):
        shift = rng.normal(0, ROUND_NOISE)
        at = 0.0
        for _ in range(blocks):
            length = float(np.exp(shift + rng.normal(0, BLOCK_NOISE)))
            for _ in range(STREAMS):
                took = length * float(np.exp(rng.normal(0, REQUEST_NOISE)))
                found.append(_request(point, number, at, took))
            at += length
    return found


def _request(point: ClosedLoop, number: int, at: float, took: float) -> RequestRecord:
    return RequestRecord(
        variant="x",
        round=number,
        point=point,
        request_id="x",
        counted=True,
        scheduled_s=at,
        send_s=at,
        first_token_s=at + took / 4,
        last_token_s=at + took,
        end_s=at + took,
        prompt_tokens=8,
        output_tokens=OUTPUT_TOKENS,
        chunks=OUTPUT_TOKENS,
        max_gap_s=0.1,
        status=200,
        error=None,
    )


_NOISE = ROUND_NOISE**2 + BLOCK_NOISE**2 + REQUEST_NOISE**2


def _throughput(rng: Generator) -> list[Estimate]:
    return [goodput(records_of(rng), Slo()).per_s]


def _tokens(rng: Generator) -> list[Estimate]:
    return [output_throughput(records_of(rng))]


def _percentile(metric: Metric, name: str, blocks: int = BLOCKS) -> Draw:
    return lambda rng: [percentiles(records_of(rng, blocks), metric)[name]]


def _long_tail(rng: Generator) -> list[Estimate]:
    """The p99 of as many blocks as certify it, without the records that would tell them."""
    shape = (ROUNDS, LONGEST, STREAMS)
    shift = rng.normal(0, ROUND_NOISE, shape[:1])[:, None, None]
    block = rng.normal(0, BLOCK_NOISE, shape[:2])[:, :, None]
    values = np.exp(shift + block + rng.normal(0, REQUEST_NOISE, shape)).reshape(-1, STREAMS)
    value = float(np.quantile(values, PERCENTILES["p99"], method="inverted_cdf"))
    rounds = np.repeat(np.arange(ROUNDS), LONGEST)
    return [tail_estimate(value, list(values), rounds, PERCENTILES["p99"])]


def _latency(name: str, part: float = 1.0) -> float:
    """The true percentile of a time that is a part of the whole request's."""
    return part * math.exp(math.sqrt(_NOISE) * normal_quantile(PERCENTILES[name]))


def _answer_lengths(rng: Generator) -> list[Estimate]:
    """Answers of natural length, whose mean differs from block to block."""
    found = [
        replace(record, output_tokens=int(rng.poisson(80 * math.exp(rng.normal(0, 0.4)))))
        for record in records_of(rng)
    ]
    told = answers(found)
    return [] if told is None else [told.tokens]


def _share_in_time(rng: Generator) -> list[Estimate]:
    return [goodput(records_of(rng), Slo(e2e_s=_latency("p90"))).share]


def _settled(rng: Generator) -> list[Estimate]:
    found = settling(records_of(rng))
    return [] if found is None else [found]


CASES = (
    Case(name="accuracy, 200 items", draw=_share(200, 0.7), truth=0.7),
    Case(name="accuracy, 961 items", draw=_share(961, 0.35), truth=0.35),
    Case(name="accuracy, a part of 40 items", draw=_share(40, 0.6), truth=0.6),
    Case(name="partly right, 240 items", draw=_fractions(240, 0.7), truth=0.7),
    Case(name="difference of accuracy, 240 items", draw=_flips(240, 0.08, 0.05), truth=0.05 - 0.08),
    Case(
        name="difference of accuracy, a part of 40 items",
        draw=_flips(40, 0.1, 0.05),
        truth=0.05 - 0.1,
    ),
    Case(name="difference of accuracy, 961 items", draw=_flips(961, 0.02, 0.01), truth=0.01 - 0.02),
    Case(name="nats per token, 24 texts", draw=_documents(24, 2.5, 0.6), truth=2.5),
    Case(name="nats per token, 107 texts", draw=_documents(107, 2.5, 0.6), truth=2.5),
    Case(
        name="difference of nats per token, 24 texts",
        draw=_documents(24, 0.02, 0.03),
        truth=0.02,
    ),
    Case(
        name="difference of nats per token, 107 texts",
        draw=_documents(107, 0.02, 0.03),
        truth=0.02,
    ),
    Case(name="ratio of speeds, in turns", draw=_ratio(paired=True), truth=1.3),
    Case(name="ratio of speeds, apart", draw=_ratio(paired=False), truth=1.3),
    Case(name=f"a mean looked at {LOOKS - 1} times", draw=_looked_at, truth=0.3, exact=False),
    Case(
        name="requests per second",
        draw=_throughput,
        truth=STREAMS / float(np.exp(_NOISE / 2)),
    ),
    Case(
        name="tokens per second",
        draw=_tokens,
        truth=OUTPUT_TOKENS * STREAMS / float(np.exp(_NOISE / 2)),
    ),
    Case(name="TTFT, median", draw=_percentile("ttft_s", "p50"), truth=_latency("p50", 1 / 4)),
    Case(
        name="TPOT, p90",
        draw=_percentile("tpot_s", "p90", LONGER["p90"]),
        truth=_latency("p90", 3 / 4 / (OUTPUT_TOKENS - 1)),
    ),
    *(
        Case(
            name=f"latency, {name}",
            draw=_percentile("e2e_s", name, blocks),
            truth=_latency(name),
        )
        for name, blocks in LONGER.items()
    ),
    Case(name="latency, p99", draw=_long_tail, truth=_latency("p99")),
    Case(name="tokens of an answer", draw=_answer_lengths, truth=80 * math.exp(0.4**2 / 2)),
    Case(name="share within the SLO", draw=_share_in_time, truth=0.9, exact=False),
    *(
        Case(
            name=f"KL of the baseline against itself beyond the floor, {texts} texts",
            draw=divergence(texts, 0.0, lambda found: found.excess),
            truth=0.0,
        )
        for texts in (24, 107)
    ),
    *(
        Case(
            name=f"KL beyond the floor, {texts} texts",
            draw=divergence(texts, 0.05, lambda found: found.excess),
            truth=true_kl(0.05) - true_kl(0.0),
        )
        for texts in (24, 107)
    ),
    Case(
        name="KL, 107 texts",
        draw=divergence(107, 0.05, lambda found: found.kl),
        truth=true_kl(0.05),
    ),
    Case(
        name="same likeliest token, 107 texts",
        draw=divergence(107, 0.05, lambda found: found.same_first),
        truth=AGREE,
    ),
    Case(
        name="ratio of perplexities, 107 texts",
        draw=divergence(107, 0.05, lambda found: found.perplexity_ratio),
        truth=math.exp(RISE),
    ),
    Case(name="longer answers", draw=longer(1.2, alike=False), truth=1.2),
    Case(name="longer answers at equal accuracy", draw=longer(1.2, alike=True), truth=1.2),
    Case(name="seconds per right answer", draw=seconds_per_right, truth=true_seconds_per_right()),
    Case(name="settling of a steady load", draw=_settled, truth=1.0),
)


@dataclass(frozen=True, kw_only=True)
class AtTheMargin:
    """A loss that is exactly what must not be passed, and its interval as one run forms it."""

    name: str
    draw: Draw
    margin: float


AT_THE_MARGIN = (
    AtTheMargin(name="accuracy, 240 items", draw=_flips(240, 0.03, 0.08), margin=0.05),
    AtTheMargin(name="accuracy, 961 items", draw=_flips(961, 0.02, 0.05), margin=0.03),
    AtTheMargin(name="nats per token, 24 texts", draw=_documents(24, 0.05, 0.06), margin=0.05),
    AtTheMargin(name="nats per token, 107 texts", draw=_documents(107, 0.05, 0.06), margin=0.05),
    AtTheMargin(
        name="nats per token, 24 texts of which few lose most",
        draw=_lopsided(24, 0.05, 2.0),
        margin=0.05,
    ),
    AtTheMargin(
        name="nats per token, 107 texts of which few lose most",
        draw=_lopsided(107, 0.05, 1.0),
        margin=0.05,
    ),
)


def wrongly_passed(case: AtTheMargin, simulations: int, seed: int) -> float:
    """The share of runs that prove a loss within the margin which is the margin itself."""
    rng = np.random.default_rng(seed)
    found = [
        decide_non_inferiority(case.draw(rng)[0], case.margin) == "equal_or_better"
        for _ in range(simulations)
    ]
    return float(np.mean(found))
