from pathlib import Path

import pytest

from deploy.plan_sections import Slo
from loadtest.closed_loop import ClosedLoop
from loadtest.load_file import LOAD_NAME
from loadtest.slo_check import SloError, missed, missed_in, read_slo, slo_of
from tests.eval.run_on_disk import load_file, records, write_load
from tests.loadtest.examples import a_record, failed, in_a_row


def test_limits_are_read_with_their_units() -> None:
    assert read_slo("ttft=500ms, tpot=0.05s,e2e=2s") == Slo(ttft_s=0.5, tpot_s=0.05, e2e_s=2.0)


@pytest.mark.parametrize("words", ["", "ttft", "ttft=500", "itl=5ms", "ttft=-1s"])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(SloError, match="--slo"):
        read_slo(words)


def test_the_plan_s_own_counts_where_it_has_one() -> None:
    assert slo_of("plan", Slo(ttft_s=1)) == Slo(ttft_s=1)
    assert slo_of("ttft=1s", Slo()) == Slo(ttft_s=1)
    with pytest.raises(SloError, match="asks for nothing"):
        slo_of("plan", Slo())


def test_nineteen_of_twenty_must_meet_it_and_what_failed_meets_nothing() -> None:
    slo, points = Slo(ttft_s=0.6), [ClosedLoop(1)]
    assert missed(in_a_row(20), points, slo, "x") == []
    assert missed([*in_a_row(19), failed()], points, slo, "x") == []
    assert missed([*in_a_row(18), failed(), failed()], points, slo, "x") == [
        "x at 1 streams: 90.0 % of requests met the objective, 95 % must"
    ]
    assert missed(in_a_row(20), points, Slo(ttft_s=0.4), "x") != []


def test_the_warm_up_does_not_count_and_nothing_measured_is_missed() -> None:
    warm_up = [a_record(counted=False, first_token_s=9.0)]
    slo = Slo(ttft_s=0.6)
    assert missed([*in_a_row(20), *warm_up], [ClosedLoop(1)], slo, "x") == []
    assert missed(warm_up, [ClosedLoop(1)], slo, "x") != []


def test_void_figures_prove_nothing(tmp_path: Path) -> None:
    write_load(tmp_path, "bf16-vllm", 0.01)
    assert missed_in(tmp_path, Slo(ttft_s=0.6)) == []
    void = load_file("bf16-vllm", records("bf16-vllm", 0.01)).model_copy(update={"saturated": True})
    (tmp_path / LOAD_NAME).write_text(void.model_dump_json())
    assert missed_in(tmp_path, Slo(ttft_s=0.6)) == [
        "bf16-vllm: its figures are void: the load generator itself was the limit"
    ]
