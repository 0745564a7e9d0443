from pathlib import Path

from deploy.plan import Plan
from eval.divergence.asked_texts import LEAST_TOKENS, MOST_TOKENS, STRATA, asked_texts
from eval.suite.texts import DRAWN
from loadtest.stats import LEAST_UNITS
from quantize.source.source_model import REFERENCE_WEIGHTS
from tests.eval.divergence import plans


def strata(plan: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in asked_texts(plan, REFERENCE_WEIGHTS):
        found[text.stratum] = found.get(text.stratum, 0) + 1
    return found


def test_the_general_texts_lie_in_strata_of_which_all_but_languages_allow_an_interval() -> None:
    found = strata(plans.general())
    few = {name for name, count in found.items() if count < LEAST_UNITS}
    assert few <= {"languages", "tool calls"}
    assert set(found) <= set(STRATA.values())
    assert set(DRAWN) <= set(STRATA)


def test_the_bundled_models_own_texts_are_one_stratum() -> None:
    assert strata(plans.own(12)) == {"held-out": 12}


def test_texts_begin_with_bos_are_cut_and_some_of_each_stratum_are_answered() -> None:
    texts = asked_texts(plans.general(), REFERENCE_WEIGHTS)
    assert len({text.ids[0] for text in texts}) == 1
    assert all(LEAST_TOKENS <= len(text.ids) <= MOST_TOKENS for text in texts)
    assert {text.stratum for text in texts if text.answered} == {text.stratum for text in texts}


def test_long_texts_come_where_the_plan_asks_them(tmp_path: Path) -> None:
    found = strata(plans.general("assay_general_long", context_length=512))
    assert found["long"] >= LEAST_UNITS
