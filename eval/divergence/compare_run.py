"""The divergences of a run: its variants' scores, read and held against the baseline's."""

from collections.abc import Mapping
from pathlib import Path

from eval.divergence.compare_texts import apart, compare_texts, mean_divergence
from eval.divergence.divergence_figures import Divergence
from eval.divergence.divergence_stage import DivergenceFile, read_divergence
from eval.divergence.scored_tokens import ScoredTokens
from loadtest.intervals import Estimate

Scored = tuple[DivergenceFile, ScoredTokens]


def current_scores(run_dir: Path, baseline: str, artifacts: Mapping[str, str]) -> dict[str, Scored]:
    """Each variant's scores; ``artifacts`` are the hashes of the artifacts that there are now.

    Scores of another artifact, or of other texts than the baseline's, are left out.
    """
    read = {name: read_divergence(run_dir, name) for name in artifacts}
    known = {
        name: it
        for name, it in read.items()
        if it is not None and it[0].artifact_sha256 == artifacts[name]
    }
    first = known.get(baseline)
    if first is None:
        return {}
    texts = first[0].texts_sha256
    return {name: it for name, it in known.items() if it[0].texts_sha256 == texts}


def compare_divergence(
    run_dir: Path, baseline: str, scores: Mapping[str, Scored], confidence: float
) -> dict[str, dict[str, Divergence]]:
    """By variant and stratum; ``scores`` are the current ones."""
    if baseline not in scores:
        return {}
    first = scores[baseline]
    second = read_divergence(run_dir, baseline, repeat=True)
    again = apart(first[1], second[1]) if second and _alike(first, second) else None
    return {
        name: compare_texts(apart(first[1], mine[1]), again, first[0].strata, confidence)
        for name, mine in scores.items()
        if name != baseline
    }


def attribute_divergence(
    baseline: str,
    scores: Mapping[str, Scored],
    siblings: Mapping[str, str],
    confidence: float,
) -> dict[str, dict[str, Estimate]]:
    """Of every variant the divergence of its engine and that of its recipe, in nats per token.

    ``siblings`` names the unquantized variant on the same engine: the engine's is the sibling's
    from the baseline, the recipe's the variant's from the sibling. Unlike differences they do not
    add up.
    """
    kept = {name: tokens for name, (_, tokens) in scores.items()}
    return {
        name: {
            "divergence_engine": mean_divergence(apart(kept[baseline], kept[plain]), confidence),
            "divergence_recipe": mean_divergence(apart(kept[plain], kept[name]), confidence),
        }
        for name, plain in siblings.items()
        if {baseline, plain, name} <= kept.keys()
    }


def _alike(one: Scored, other: Scored) -> bool:
    """Whether two passes are of the same inputs: then they differ by noise alone."""
    return one[0].inputs_sha256 == other[0].inputs_sha256
