"""The rows that lm-eval writes become items that pair by number and prompt.

covers: eval/lm_eval_samples.py, eval/task_score.py
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.lm_eval_samples import KEPT_PROMPT, UnsupportedTaskError, to_samples, to_score
from eval.samples import Sample, by_task, pair, read_samples, write_samples


def sample(item: int = 0, **changes: Any) -> Sample:
    return replace(
        Sample(
            task="t",
            item=item,
            prompt_sha256="p",
            correct=True,
            score=1.0,
            nll=1.5,
            tokens=2,
            bytes=6,
            answer="red",
            target="red",
        ),
        **changes,
    )


def words(_context: str, continuation: str) -> int:
    return len(continuation.split())


def row(**changes: Any) -> dict[str, Any]:
    return {
        "doc_id": 3,
        "target": 1,
        "arguments": [("Q", " red"), ("Q", " dark blue")],
        "resps": [[(-2.0, False)], [(-1.0, True)]],
        "filtered_resps": [(-2.0, False), (-1.0, True)],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "prompt_hash": "p",
        "acc": 1.0,
        "acc_norm": 0.0,
    } | changes


def generated(filter_name: str, score: float) -> dict[str, Any]:
    return row(
        target="42",
        arguments=[("Q", {"until": ["."]})],
        resps=[["so 42"]],
        filtered_resps=["42"],
        filter=filter_name,
        metrics=["exact_match"],
        exact_match=score,
    )


def test_samples_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [sample(), sample(1, correct=None, score=None, answer=None, target=None)]
    write_samples(tmp_path / "samples.parquet", rows)
    assert read_samples(tmp_path / "samples.parquet") == rows
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]


def test_samples_are_told_apart_by_task_in_their_order() -> None:
    rows = [sample(1), sample(0, task="u"), sample(0)]
    assert by_task(rows) == {"t": [rows[0], rows[2]], "u": [rows[1]]}


def test_items_are_paired_by_their_number_and_single_ones_left_out() -> None:
    left, right = [sample(2), sample(0), sample(7)], [sample(0, nll=9.0), sample(2)]
    assert pair(left, right) == [(left[0], right[1]), (left[1], right[0])]


def test_items_with_other_prompts_are_never_compared() -> None:
    with pytest.raises(ValueError, match="t, item 4: the two variants were asked different"):
        pair([sample(4)], [sample(4, prompt_sha256="other")])


def test_a_choice_keeps_the_likelihood_of_the_right_answer() -> None:
    [got] = to_samples("t", "multiple_choice", [row()], words)
    kept = {"answer": "dark blue", "target": "dark blue", "choices": 2, "prompt": "Q"}
    assert got == sample(3, nll=1.0, tokens=2, bytes=10, **kept)


def test_of_a_long_prompt_its_end_is_kept_where_the_question_stands() -> None:
    asked = "example " * 500 + "The question?"
    [got] = to_samples(
        "t", "multiple_choice", [row(arguments=[(asked, " a"), (asked, " b")])], words
    )
    assert got.prompt is not None
    assert got.prompt.endswith("The question?")
    assert got.prompt.startswith("…")
    assert len(got.prompt) == KEPT_PROMPT + 1


def test_a_wrong_choice_keeps_what_was_chosen_and_what_was_right() -> None:
    [got] = to_samples("t", "multiple_choice", [row(target=0, acc=0.0)], words)
    assert (got.correct, got.answer, got.target, got.nll) == (False, "dark blue", "red", 2.0)


def test_a_target_given_as_text_is_found_among_the_choices() -> None:
    [got] = to_samples("t", "multiple_choice", [row(target="dark blue")], words)
    assert (got.nll, got.target) == (1.0, "dark blue")


def test_choices_asked_again_without_their_question_are_no_choices() -> None:
    doubled = row(
        metrics=["acc", "acc_mutual_info"],
        arguments=[("Q", " red"), ("Q", " blue"), ("", " red"), ("", " blue")],
        resps=[[(-2.0, False)], [(-1.0, True)], [(-0.1, True)], [(-0.2, True)]],
    )
    [got] = to_samples("t", "multiple_choice", [doubled], words)
    assert got.answer == "blue"


def test_a_generated_answer_has_no_likelihood() -> None:
    [got] = to_samples("t", "generate_until", [generated("none", 0.0)], words)
    assert (got.correct, got.answer, got.target) == (False, "42", "42")
    assert got.nll is got.tokens is got.bytes is None


def test_the_first_answer_filter_of_a_task_counts() -> None:
    rows = [generated("strict-match", 0.0), generated("flexible-extract", 1.0)]
    samples = to_samples("t", "generate_until", rows, words)
    assert [got.score for got in samples] == [0.0]


def test_a_document_keeps_its_whole_likelihood_tokens_and_bytes() -> None:
    document = row(arguments=[("Ein schöner Tag",)], resps=[[-12.5]], metrics=["word_perplexity"])
    [got] = to_samples("t", "loglikelihood_rolling", [document], words)
    assert (got.nll, got.tokens, got.bytes) == (12.5, 3, 16)
    assert got.correct is got.score is None


def test_a_fraction_is_a_score_but_neither_right_nor_wrong() -> None:
    [got] = to_samples("t", "multiple_choice", [row(acc=0.4)], words)
    assert (got.score, got.correct) == (0.4, None)


def test_a_task_without_an_accuracy_is_refused_with_what_it_reports() -> None:
    with pytest.raises(UnsupportedTaskError, match="task t reports bleu, f1, none of which"):
        to_samples("t", "generate_until", [row(metrics=["bleu", "f1"], bleu=3.0)], words)


def test_a_score_is_the_share_of_right_answers_beside_lm_evals_own_figures() -> None:
    samples = [sample(0), sample(1, correct=False, score=0.0)]
    results = {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.1, "exact_match,strict": 0.25}
    score = to_score(samples, results)
    assert (score.metric, score.value, score.items) == ("accuracy", 0.5, 2)
    assert score.details == {"acc": 0.5, "exact_match,strict": 0.25}


def test_a_perplexity_task_is_scored_per_token_over_all_documents() -> None:
    documents = [
        sample(0, correct=None, score=None, nll=10.0, tokens=5),
        sample(1, correct=None, score=None, nll=2.0, tokens=3),
    ]
    score = to_score(documents, {"word_perplexity,none": 7.0, "stderr": float("nan")})
    assert (score.metric, score.value) == ("nll_per_token", 1.5)
    assert score.details == {"word_perplexity": 7.0, "tokens": 8.0}
