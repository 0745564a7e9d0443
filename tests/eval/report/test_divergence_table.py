from pathlib import Path

from eval.divergence.divergence_figures import WHOLE
from eval.report.page import write_report
from tests.eval.report import builders, verdicts
from tests.eval.report.run_files import write_run
from tests.eval.test_terminal_tables import SCREEN, WRITTEN


def test_the_page_shows_divergences_beside_their_floor_and_what_a_right_answer_costs(
    tmp_path: Path,
) -> None:
    found = builders.comparison()
    told = {"divergence": {WHOLE: SCREEN, "code": SCREEN}, "answers": WRITTEN}
    variants = [it.model_copy(update=told) for it in found.variants]
    comparison = found.model_copy(update={"variants": variants})
    page = write_report(write_run(tmp_path / "run", comparison, verdicts.recommended())).read_text()
    for words in ("a screen: it differs", "0.0011", "14 of 28", "half part by token 31", "code"):
        assert words in page
    for words in ("40 wrong, 10 truncated", "1.31×", "per right answer", "0.41"):
        assert words in page


def test_a_run_without_them_has_no_such_tables(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", builders.comparison(), verdicts.recommended())
    page = write_report(run).read_text()
    assert "How far its predictions lie" not in page
    assert "What became of written answers" not in page
