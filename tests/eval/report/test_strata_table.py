from pathlib import Path

from eval.report.page import write_report
from eval.schema import ComparisonFile, Stratum, TaskComparison, VariantComparison
from loadtest.intervals import Estimate
from tests.eval.report import builders, verdicts
from tests.eval.report.run_files import write_run

PARTS = {"arithmetic": -0.123, "geography": 0.004}


def with_parts(result: TaskComparison, *, baseline: bool) -> TaskComparison:
    strata = {
        part: Stratum(
            items=48,
            score=Estimate(value=0.625),
            difference=None if baseline else Estimate(value=d, low=d - 0.05, high=d + 0.05),
        )
        for part, d in PARTS.items()
    }
    return result.model_copy(update={"strata": strata})


def parted() -> ComparisonFile:
    found = builders.comparison()

    def of(variant: VariantComparison) -> VariantComparison:
        own = variant.variant == found.baseline
        quality = {
            task: with_parts(result, baseline=own) if task == "assay_choice" else result
            for task, result in variant.quality.items()
        }
        return variant.model_copy(update={"quality": quality})

    return found.model_copy(update={"variants": [of(v) for v in found.variants]})


def test_the_page_shows_where_a_variant_loses(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", parted(), verdicts.recommended())
    page = write_report(run).read_text()
    assert "Where it is lost" in page
    for words in ("arithmetic", "geography", "\N{MINUS SIGN}12.3"):
        assert words in page


def test_tasks_without_parts_have_no_such_table(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", builders.comparison(), verdicts.recommended())
    assert "Where it is lost" not in write_report(run).read_text()
