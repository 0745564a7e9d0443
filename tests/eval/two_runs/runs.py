"""Two finished runs on the disk, as small as they can be: what the earlier stages leave of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from eval.samples import Sample
from eval.schema import ComparisonFile, LoadComparison, VariantComparison
from loadtest.pairing import RoundFigures
from tests.eval.report import builders, run_files, verdicts
from tests.eval.run_on_disk import BASE, answers, documents, write_quality

TWO = builders.CPU_DEMO[:1] + builders.CPU_DEMO[4:5]
NAMES = ("bf16-vllm", "gguf-q8_0")
NLL = [2.0 + 0.01 * (number % 7) for number in range(60)]


def rounds(speeds: Sequence[float], started: str = "") -> tuple[RoundFigures, ...]:
    return tuple(
        RoundFigures(
            round=number,
            started_at=f"{started}{number}" if started else "",
            output_tok_per_s=speed,
            goodput_per_s=speed / 64,
            e2e_p50_s=64 / speed,
        )
        for number, speed in enumerate(speeds)
    )


def with_rounds(found: ComparisonFile, speed: float = 1.0) -> ComparisonFile:
    """Six rounds at every load, whose throughput varies by a percent."""

    def measured(level: LoadComparison) -> LoadComparison:
        middle = speed * level.output_tok_per_s.value
        shares = (0.99, 1.01, 1.0, 0.995, 1.005, 1.0)
        return level.model_copy(update={"rounds": rounds([middle * share for share in shares])})

    variants = [
        it.model_copy(update={"load": [measured(level) for level in it.load]})
        for it in found.variants
    ]
    return found.model_copy(update={"variants": variants})


def changed(found: ComparisonFile, name: str, **changes: Any) -> ComparisonFile:
    def copied(variant: VariantComparison) -> VariantComparison:
        return variant.model_copy(update=changes if variant.variant == name else {})

    return found.model_copy(update={"variants": [copied(it) for it in found.variants]})


def asked(right: Sequence[bool] = BASE, nll: Sequence[float] = NLL) -> list[Sample]:
    """Answers to the tasks of ``builders``: 1,000 words and choices, 60 texts."""
    choices = answers("assay_choice", BASE)
    return [*answers("assay_words", right), *choices, *documents("assay_text", nll)]


def reworded(samples: Sequence[Sample]) -> list[Sample]:
    """The same answers to other questions."""
    return [replace(it, prompt_sha256=f"other {it.prompt_sha256}") for it in samples]


def write(
    folder: Path,
    found: ComparisonFile | None = None,
    samples: Mapping[str, Sequence[Sample]] | None = None,
    *,
    plan: Mapping[str, Mapping[str, object]] | None = None,
    **environment: object,
) -> Path:
    """Write a run; ``plan`` and ``environment`` are what is not as usual."""
    found = found or with_rounds(builders.comparison(TWO))
    run_files.write_run(folder, found, verdicts.recommended(TWO), complete=False)
    content = yaml.safe_load((folder / "plan.yaml").read_text())
    for section, changes in (plan or {}).items():
        content[section] |= changes
    (folder / "plan.yaml").write_text(yaml.safe_dump(content))
    (folder / "environment.json").write_text(json.dumps(run_files.ENVIRONMENT | environment))
    for name in NAMES:
        (folder / name).mkdir(exist_ok=True)
        write_quality(folder / name, name, list((samples or {}).get(name, asked())))
    return folder
