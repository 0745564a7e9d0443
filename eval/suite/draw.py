"""How questions are drawn: the same seed gives the same ones, another seed fresh ones.

An item depends on the task, the seed and its own number alone, so a longer instance begins with a
shorter one, and no item changes where another is added.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

import datasets

Item = dict[str, Any]
"""A document of a task: ``id``, ``kind`` (its stratum), and what the task's file names."""

T = TypeVar("T")


def rng_of(task: str, seed: int, number: int) -> Random:
    """The source of chance of one item."""
    return Random(f"{task} {seed} {number}")


def drawn(
    task: str, seed: int, count: int, limit: int | None, make: Callable[[Random, int], Item]
) -> list[Item]:
    """``count`` items, or ``limit`` where more are asked for: no such task ever runs out."""
    return [
        {"id": f"{task}-{seed}-{number:05}", **make(rng_of(task, seed, number), number)}
        for number in range(max(count, limit or 0))
    ]


def interleaved(strata: Sequence[Sequence[T]]) -> Iterator[T]:
    """One of each stratum in turn, so that the first of many are as mixed as all."""
    for number in range(max(map(len, strata), default=0)):
        yield from (stratum[number] for stratum in strata if number < len(stratum))


def as_test_split(items: Sequence[Item]) -> dict[str, datasets.Dataset]:
    """What lm-eval's ``custom_dataset`` returns."""
    return {"test": datasets.Dataset.from_list(list(items))}
