from eval.reasons import Reason


def test_a_reason_is_told_by_its_task_or_by_its_objective() -> None:
    worse = Reason(objective="quality", task="assay_text", words="2 points worse")
    slow = Reason(objective="speed", words="void")
    gone = Reason(objective="failure", words="deploy: no room")
    assert [r.sentence for r in (worse, slow, gone)] == [
        "assay_text: 2 points worse",
        "speed: void",
        "failed: deploy: no room",
    ]
    assert [r.subject for r in (worse, slow, gone)] == ["assay_text", "speed", "failed"]


def test_a_reason_comes_back_from_the_verdicts_file() -> None:
    reason = Reason(objective="quality", task="t", words="w")
    assert Reason.model_validate_json(reason.model_dump_json()) == reason
