from eval.answering import WrittenAnswers
from eval.divergence.divergence_figures import WHOLE, Divergence, Floor, GreedyAnswers
from eval.schema import ComparisonFile
from eval.terminal import render_terminal
from loadtest.intervals import Estimate
from tests.eval.report import builders, verdicts

SCREEN = Divergence(
    texts=60,
    tokens=9000,
    kl=Estimate(value=0.0123, low=0.011, high=0.014),
    p99=0.21,
    worst_tenth=0.08,
    same_first=Estimate(value=0.962),
    perplexity_ratio=Estimate(value=1.004, low=0.999, high=1.009),
    remainder=0.05,
    answers=GreedyAnswers(answers=28, same=Estimate(value=0.5), parted_at=31),
    floor=Floor(kl=0.0011, p99=0.02, worst_tenth=0.01, same_first=0.99, same_answers=0.9),
    excess=Estimate(value=0.0112, low=0.0099, high=0.0129),
    reading="screen",
)
WRITTEN = WrittenAnswers(
    outcomes={"right": 150, "wrong": 40, "truncated": 10},
    tokens=Estimate(value=61.4),
    inflation=Estimate(value=1.31, low=1.22, high=1.4),
    inflation_alike=Estimate(value=1.3, low=1.2, high=1.41),
    tokens_per_right=Estimate(value=82.0, low=74.0, high=91.0),
    seconds_per_right=Estimate(value=0.41, low=0.36, high=0.47),
    price_per_right=Estimate(value=0.00041),
    joules_per_right=None,
)


def shown(**more: object) -> str:
    found = builders.comparison()
    variants = [
        it.model_copy(update=more) if it.variant == "gguf-q4_k_m" else it for it in found.variants
    ]
    told = ComparisonFile.model_validate(
        found.model_copy(update={"variants": variants}).model_dump()
    )
    return render_terminal(told, verdicts.recommended(), width=120)


def line(text: str, after: str) -> str:
    rows = text[text.index(after) :].splitlines()
    return next(row for row in rows if row.startswith("  gguf-q4_k_m"))


def test_a_divergence_stands_beside_its_floor_and_is_called_a_screen() -> None:
    row = line(shown(divergence={WHOLE: SCREEN}), "divergence")
    for words in ("a screen", "0.012", "0.0011", "0.011 [0.0099, 0.013]", "96.2 %", "14/28"):
        assert words in row


def test_written_answers_are_told_by_outcome_length_and_price() -> None:
    row = line(shown(answers=WRITTEN), "written answers")
    for words in (
        "40 wrong, 10 truncated",
        "150/200",
        "1.31 [1.22, 1.40]",
        "82 [74, 91]",
        "0.41 [",
    ):
        assert words in row


def test_without_either_no_table_is_shown() -> None:
    text = shown()
    assert "divergence" not in text
    assert "written answers" not in text
