"""One error rate over all variants that are compared. Pure functions.

The plan's ``confidence`` leaves an error rate to the whole verdict. Half of it is spent on
"passes", which every variant but the baseline may wrongly be said to do: Holm's step-down over
their p-values (Scandinavian Journal of Statistics 6, 1979), valid however these depend on each
other. The other half is spent on "is better than the others": wrong only where the one that truly
is best is said to be beaten, so as many one-sided comparisons as there are others are corrected
for, whichever leads (comparisons with the best: Hsu, Annals of Statistics 9, 1981; by Bonferroni).
"""

from collections.abc import Mapping


def half_error(confidence: float) -> float:
    """The error rate of either half: 0.025 at 0.95."""
    return (1 - confidence) / 2


def holm_limits(p_values: Mapping[str, float], error: float) -> dict[str, float]:
    """What each name's p-value must not exceed, were all smaller ones rejected: error / rest."""
    order = sorted(p_values, key=lambda name: p_values[name])
    return {name: error / (len(order) - place) for place, name in enumerate(order)}


def holm(p_values: Mapping[str, float], error: float) -> frozenset[str]:
    """The names that are proven together, wrongly any of them with at most that probability."""
    limits = holm_limits(p_values, error)
    proven: set[str] = set()
    for name, limit in limits.items():
        if p_values[name] > limit:
            break
        proven.add(name)
    return frozenset(proven)


def shared_confidence(confidence: float, comparisons: int) -> float:
    """The two-sided confidence of each of so many that share one half of the error (Bonferroni).

    That of the first of Holm's steps, and of telling a leader apart from each of the others.
    """
    return 1 - 2 * half_error(confidence) / max(1, comparisons)
