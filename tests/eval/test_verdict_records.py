"""Every sentence of a verdict leads to the records that it rests on."""

import json

from deploy.plan_sections import Objectives
from eval.verdict import decide
from eval.verdict_records import looked_up, records_of, told_of, verdict_records
from tests.eval.report import builders

FOUND = builders.comparison()


def test_every_sentence_about_a_variant_has_records_that_are_there() -> None:
    verdict = decide(FOUND, Objectives(), notes=["Measured on a CPU."])
    content = json.loads(FOUND.model_dump_json())
    for words in (verdict.sentence, *verdict.reasons):
        assert verdict.records[words], words
        for pointer in verdict.records[words]:
            assert looked_up(content, pointer)


def test_a_sentence_leads_to_the_task_and_the_load_that_it_names() -> None:
    place = next(i for i, v in enumerate(FOUND.variants) if v.variant == "gguf-q4_k_m")
    words = "gguf-q4_k_m: 2 points worse on assay_words, 90 % of requests at 16 streams"
    assert records_of(words, FOUND, None) == [
        f"/variants/{place}/quality/assay_words",
        f"/variants/{place}/load/2",
    ]


def test_a_sentence_that_names_no_variant_speaks_of_the_subject() -> None:
    assert records_of("Its weights take 3 MiB.", FOUND, "bf16-vllm") == ["/variants/0"]
    assert records_of("Measured on a CPU.", FOUND, None) == []


def test_a_reason_of_the_ranking_leads_to_its_own_variant() -> None:
    verdict = decide(FOUND, Objectives())
    [q2_k] = [it for it in verdict.ranking if it.variant == "gguf-q2_k"]
    place = next(i for i, v in enumerate(FOUND.variants) if v.variant == "gguf-q2_k")
    for reason in q2_k.failed:
        assert verdict.records[told_of("gguf-q2_k", reason.sentence)] == [
            f"/variants/{place}/quality/{reason.task}"
        ]
    assert q2_k.failed


def test_a_caveat_of_a_task_is_about_the_baseline_and_a_note_about_nothing() -> None:
    verdict = decide(FOUND, Objectives(), notes=["assay_words: asked once.", "On a CPU."])
    assert verdict.records["assay_words: asked once."] == ["/variants/0/quality/assay_words"]
    assert "On a CPU." not in verdict.records


def test_a_name_within_a_longer_one_is_not_meant() -> None:
    first = FOUND.variants[0]
    longer = first.model_copy(update={"variant": "bf16-vllm-fp8"})
    found = FOUND.model_copy(update={"variants": [first, longer]})
    assert records_of("bf16-vllm-fp8 failed", found, None) == ["/variants/1"]


def test_a_task_with_a_slash_in_its_name_is_found_again() -> None:
    first = FOUND.variants[0]
    result = first.quality["assay_words"]
    odd = first.model_copy(update={"quality": {"a/b~c": result}})
    found = FOUND.model_copy(update={"variants": [odd]})
    [pointer] = records_of("bf16-vllm on a/b~c", found, None)
    assert pointer == "/variants/0/quality/a~1b~0c"
    assert looked_up(json.loads(found.model_dump_json()), pointer)
    assert verdict_records(found, decide(found, Objectives()))
