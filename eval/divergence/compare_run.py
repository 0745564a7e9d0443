"""The divergences of a run: its variants' scores, read and held against the baseline's."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.divergence.compare_texts import Apart, apart, compare_texts, mean_divergence
from eval.divergence.divergence_figures import Divergence
from eval.divergence.divergence_stage import DivergenceFile, read_divergence
from eval.divergence.scored_tokens import ScoredTokens
from loadtest.intervals import Estimate

Pass = tuple[DivergenceFile, ScoredTokens]


def compare_divergence(
    run_dir: Path,
    baseline: str,
    artifacts: Mapping[str, str],
    confidence: float,
) -> dict[str, dict[str, Divergence]]:
    """By variant and stratum; ``artifacts`` are the hashes of the artifacts that there are now.

    Scores of another artifact, or of other texts than the baseline's, are left out.
    """
    first = read_divergence(run_dir, baseline)
    if first is None or first[0].artifact_sha256 != artifacts.get(baseline):
        return {}
    second = read_divergence(run_dir, baseline, repeat=True)
    again = apart(first[1], second[1]) if second and _alike(first, second) else None
    found: dict[str, dict[str, Divergence]] = {}
    for name, artifact in artifacts.items():
        mine = None if name == baseline else read_divergence(run_dir, name)
        if mine is None or mine[0].artifact_sha256 != artifact or not _same_texts(first, mine):
            continue
        found[name] = _compared(first, mine, again, confidence)
    return found


def attribute_divergence(
    run_dir: Path,
    baseline: str,
    artifacts: Mapping[str, str],
    siblings: Mapping[str, str],
    confidence: float,
) -> dict[str, dict[str, Estimate]]:
    """Of every variant the divergence of its engine and that of its recipe, in nats per token.

    ``siblings`` names the unquantized variant on the same engine: the engine's is the sibling's
    from the baseline, the recipe's the variant's from the sibling. Unlike differences they do not
    add up.
    """
    names = {baseline, *siblings, *siblings.values()}
    scored = {name: read_divergence(run_dir, name) for name in names}
    first = scored[baseline]
    if first is None:
        return {}
    kept = {
        name: it[1]
        for name, it in scored.items()
        if it is not None and it[0].artifact_sha256 == artifacts[name] and _same_texts(first, it)
    }
    return {
        name: {
            "divergence_engine": mean_divergence(apart(kept[baseline], kept[plain]), confidence),
            "divergence_recipe": mean_divergence(apart(kept[plain], kept[name]), confidence),
        }
        for name, plain in siblings.items()
        if {baseline, plain, name} <= kept.keys()
    }


def _compared(
    first: Pass, mine: Pass, again: Apart | None, confidence: float
) -> dict[str, Divergence]:
    strata: Sequence[str] = first[0].strata
    return compare_texts(apart(first[1], mine[1]), again, strata, confidence)


def _same_texts(one: Pass, other: Pass) -> bool:
    return one[0].texts_sha256 == other[0].texts_sha256


def _alike(one: Pass, other: Pass) -> bool:
    """Whether two passes are of the same inputs: then they differ by noise alone."""
    return one[0].inputs_sha256 == other[0].inputs_sha256
