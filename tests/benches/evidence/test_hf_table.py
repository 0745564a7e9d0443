"""covers: tests/benches/evidence/hf_job.py, tests/benches/evidence/in_quantize/ask_hf.py"""

from tests.benches.evidence.hf_table import WAYS, figures


def test_only_what_is_printed_counts_and_nothing_in_common_is_told() -> None:
    way = WAYS[0]
    ours = {"assay_general_choice": {"acc": 0.41667, "acc_norm": 0.5, "seconds": 3.0}}
    theirs = {"assay_general_choice": {"acc": 0.416666, "acc_norm": 0.5}}
    assert [it.met for it in figures(way, ours, theirs)] == [True, True]
    other = {"assay_general_choice": {"acc": 0.4, "acc_norm": 0.5}}
    assert [it.value for it in figures(way, ours, other)] == [1.0, 0.0]
    assert [it.met for it in figures(way, {}, theirs)] == [True, False]
