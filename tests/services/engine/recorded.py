"""Score vectors of a probe as a variant may give them, for tests of the decision."""

import random
from collections.abc import Callable, Mapping

from quantize.agreement.agreement_file import AgreementFile
from quantize.agreement.probe import Probe, ProbedArtifact, ProbeSequence, SequenceScores

LENGTHS = {"without BOS": 160, "with BOS": 640, "special tokens": 60, "chat": 30, "text": 17}
NOISE = 0.02
# What rounding inputs moves the logits by, as a standard deviation (nats).
INPUTS = 0.4
WINDOW = 100
Moved = Callable[[str, int], float]


def scores(seed: int = 0) -> dict[str, SequenceScores]:
    """What transformers computes: likely and unlikely tokens, and its own noise in bfloat16."""
    rng = random.Random(seed)
    found = {}
    for name, length in LENGTHS.items():
        logprobs = tuple(-rng.expovariate(0.5) for _ in range(length - 1))
        spread = tuple(rng.uniform(0.1, 1.2) for _ in range(length - 1))
        noise = NOISE * sum(spread) / len(spread)
        found[name] = SequenceScores(logprobs=logprobs, spread=spread, bf16_nats=noise)
    return found


def agreement_file(
    *, window: int | None = None, artifact: ProbedArtifact | None = None
) -> AgreementFile:
    """A file of a model with or without a window."""
    probe = Probe(
        sequences=tuple(
            ProbeSequence(name=name, ids=tuple(range(10, 10 + length)))
            for name, length in LENGTHS.items()
        ),
        window=window,
        bos=1,
        special=(1, 2),
        end_tokens=(2,),
        chat=None,
    )
    return AgreementFile(
        inputs_sha256="", made_from={}, probe=probe, source=scores(), artifact=artifact
    )


def inputs_rounded(
    moved: Moved | None = None,
    *,
    rounded: Mapping[str, SequenceScores] | None = None,
    seed: int = 3,
) -> ProbedArtifact:
    """Weights of the source whose inputs are rounded, which moves tokens (as ``INPUTS`` does)."""
    rounded, rng = dict(rounded or scores()), random.Random(seed)
    kept = {
        name: each.model_copy(
            update={
                "logprobs": tuple(
                    value - (moved(name, token) if moved else rng.gauss(0, INPUTS) * spread)
                    for token, (value, spread) in enumerate(
                        zip(each.logprobs, each.spread, strict=True)
                    )
                )
            }
        )
        for name, each in rounded.items()
    }
    return ProbedArtifact(scores=rounded, inputs_kept=kept)


def heard(
    expected: Mapping[str, SequenceScores],
    moved: Moved = lambda _name, _token: 0.0,
    seed: int = 1,
    noise: float = NOISE,
) -> dict[str, list[float]]:
    """What a variant says: rounding's noise, and by ``moved`` what else each token is off by."""
    rng = random.Random(seed)
    return {
        name: [
            value + rng.gauss(0, noise) * each.spread[token] + moved(name, token)
            for token, value in enumerate(each.logprobs)
        ]
        for name, each in expected.items()
    }


def off(nats: float, *names: str, after: int = 0) -> Moved:
    """So many nats up and down, in the named sequences (all), from a token on."""
    return lambda name, token: (
        nats * (1 if token % 2 else -1) if (name in names or not names) and token >= after else 0.0
    )
