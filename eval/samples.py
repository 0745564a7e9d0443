"""One row per evaluated item, and the parquet file that keeps them.

The rows are what makes a comparison paired: two variants are compared item by item, and the hash
of the prompt proves that both were asked the same question.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from eval.outcomes import Outcome
from quantize.jobs.whole_file import writing


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One item of one task as one variant answered it.

    ``score`` is the item's accuracy (0 to 1), None for a perplexity task; ``correct`` is the same
    as a yes or no, None where the score is a fraction. ``nll`` is the negative log-likelihood in
    nats, summed over ``tokens`` scored tokens that spell ``bytes`` bytes of UTF-8: of the whole
    document in a perplexity task, of the right answer in a choice, None for generated answers.
    ``choices`` is among how many answers one was to be chosen, None where none were offered;
    ``stratum`` the part of the task it belongs to, where the task has parts. ``prompt`` is the end
    of what was asked, for a reader: pairs are formed by the hash of all of it. Of a written answer
    ``output_tokens`` is the length and ``outcome`` what became of it (``eval/outcomes.py``).
    """

    task: str
    item: int
    prompt_sha256: str
    correct: bool | None
    score: float | None
    nll: float | None
    tokens: int | None
    bytes: int | None
    answer: str | None
    target: str | None
    choices: int | None = None
    stratum: str | None = None
    prompt: str | None = None
    output_tokens: int | None = None
    outcome: Outcome | None = None


SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("item", pa.int64(), nullable=False),
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("correct", pa.bool_()),
        pa.field("score", pa.float64()),
        pa.field("nll", pa.float64()),
        pa.field("tokens", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("answer", pa.string()),
        pa.field("target", pa.string()),
        pa.field("choices", pa.int64()),
        pa.field("stratum", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("output_tokens", pa.int64()),
        pa.field("outcome", pa.string()),
    ]
)


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write all rows to a parquet file, whole or not at all."""
    table = pa.Table.from_pylist([asdict(sample) for sample in samples], schema=SCHEMA)
    with writing(path) as temporary:
        pq.write_table(table, temporary)


def read_samples(path: Path) -> list[Sample]:
    """Read the rows back, in the order they were written."""
    return [Sample(**row) for row in pq.read_table(path, schema=SCHEMA).to_pylist()]


def by_task(samples: Iterable[Sample]) -> Mapping[str, list[Sample]]:
    """The samples of each task, in their order."""
    tasks: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        tasks[sample.task].append(sample)
    return dict(tasks)


def pair(left: Iterable[Sample], right: Iterable[Sample]) -> list[tuple[Sample, Sample]]:
    """Match two variants' samples of one task item by item; only items that both answered.

    Raises:
        ValueError: the same item had another prompt, so the answers cannot be compared.
    """
    others = {sample.item: sample for sample in right}
    pairs = [(sample, others[sample.item]) for sample in left if sample.item in others]
    for mine, other in pairs:
        if mine.prompt_sha256 != other.prompt_sha256:
            raise ValueError(
                f"{mine.task}, item {mine.item}: the two variants were asked different questions "
                "(the task's data changed between the passes); delete the samples and repeat"
            )
    return pairs
