"""Variants agree within rounding, and every other difference is caught."""

from dataclasses import replace
from statistics import fmean

import pytest

from quantize.agreement.probe import KeptWeight, ProbedArtifact
from services.engine.agreement import (
    DECODED,
    INPUTS_KEPT,
    PLAIN,
    ROUNDED,
    SOURCE,
    TIMES_MOVED,
    Answers,
    judge,
    noise_of,
    not_held,
)
from tests.services.engine.recorded import (
    LENGTHS,
    NOISE,
    agreement_file,
    heard,
    inputs_rounded,
    off,
    scores,
)

TO_EIGHT_BITS = replace(ROUNDED, times_moved=TIMES_MOVED)
# Where the means alone are looked at.
MEANS = replace(TO_EIGHT_BITS, token=1000)


def kept(residual: float = 0.2, limit: float = 0.5) -> KeptWeight:
    return KeptWeight(name="model.layers.0.mlp.up_proj.weight", residual=residual, limit=limit)


def test_an_engine_that_rounds_agrees_and_its_figures_are_told() -> None:
    file = agreement_file()
    found = judge(file, Answers(scores=heard(file.source)), PLAIN)
    assert (found.state, found.against, found.reasons) == ("agrees", SOURCE, ())
    assert found.tokens == sum(len(each.logprobs) for each in file.source.values())
    assert found.mean_nats is not None
    assert found.limit_nats is not None
    assert 0 < found.mean_nats < found.limit_nats / 3
    assert found.worst_nats is not None
    assert found.worst_nats > found.mean_nats


def test_the_models_own_noise_is_the_yardstick() -> None:
    assert noise_of(scores()) == pytest.approx(NOISE)


def test_a_quantized_variant_is_held_against_its_decoded_weights() -> None:
    decoded = scores(seed=5)
    file = agreement_file(artifact=ProbedArtifact(scores=decoded, farthest=kept()))
    found = judge(file, Answers(scores=heard(decoded)), PLAIN)
    assert (found.state, found.against) == ("agrees", DECODED)
    assert judge(file, Answers(scores=heard(file.source)), PLAIN).state == "differs"


def test_an_engine_that_only_shrinks_weights_is_held_against_inputs_left_alone() -> None:
    artifact = ProbedArtifact(scores=scores(5), inputs_kept=scores(6), farthest=kept())
    found = judge(agreement_file(artifact=artifact), Answers(scores=heard(scores(6))), ROUNDED)
    assert (found.state, found.against) == ("agrees", INPUTS_KEPT)


def test_what_rounding_inputs_moves_is_no_excuse_where_they_were_left_as_they_are() -> None:
    artifact = inputs_rounded(off(0.1))
    assert artifact.inputs_kept is not None
    answers = Answers(scores=heard(artifact.inputs_kept, off(-0.23)))
    found = judge(agreement_file(artifact=artifact), answers, TO_EIGHT_BITS)
    assert (found.state, found.against) == ("differs", INPUTS_KEPT)
    assert found.mean_nats is not None
    assert found.mean_nats < TIMES_MOVED * 0.1


def test_a_kernel_that_rounds_inputs_agrees_though_inputs_left_alone_are_nearer() -> None:
    artifact = inputs_rounded(off(0.43, "text"))
    assert artifact.inputs_kept is not None
    answers = Answers(scores=heard(artifact.inputs_kept, off(-0.552, "text")))
    file = agreement_file(artifact=artifact)
    found = judge(file, answers, MEANS)
    assert (found.state, found.against) == ("agrees", DECODED)
    unmoved = judge(file, answers, replace(MEANS, times_moved=0))
    assert (unmoved.state, unmoved.against) == ("differs", INPUTS_KEPT)


def test_of_two_computations_that_agree_the_nearer_is_told() -> None:
    artifact = inputs_rounded(off(0.1))
    assert artifact.inputs_kept is not None
    file = agreement_file(artifact=artifact)
    for scored, name in ((artifact.scores, DECODED), (artifact.inputs_kept, INPUTS_KEPT)):
        found = judge(file, Answers(scores=heard(scored)), TO_EIGHT_BITS)
        assert (found.state, found.against) == ("agrees", name)


def test_what_is_allowed_is_what_its_sequences_are_by_their_tokens() -> None:
    file = agreement_file(artifact=inputs_rounded(off(0.38, "with BOS")))
    found = judge(file, Answers(scores=heard(file.source, off(0.9, "with BOS"))), MEANS)
    own = {name: 16 * NOISE * fmean(each.spread) for name, each in file.source.items()}
    allowed = {**own, "with BOS": TIMES_MOVED * 0.38}
    tokens = {name: length - 1 for name, length in LENGTHS.items()}
    limit = sum(allowed[name] * tokens[name] for name in LENGTHS) / sum(tokens.values())
    assert found.state == "agrees"
    assert found.limit_nats == pytest.approx(limit)
    assert found.mean_nats is not None
    assert found.mean_nats < limit


def test_an_artifact_of_other_weights_differs_though_its_engine_serves_it_well() -> None:
    decoded = scores(seed=5)
    file = agreement_file(artifact=ProbedArtifact(scores=decoded, farthest=kept(0.97)))
    found = judge(file, Answers(scores=heard(decoded)), PLAIN)
    assert found.state == "differs"
    assert "its weights are not the source's" in found.reasons[0]
    assert "97%" in found.reasons[0]


def test_an_artifact_that_cannot_be_decoded_differs() -> None:
    file = agreement_file(artifact=ProbedArtifact(fault="q_proj.bias is no weight of Llama"))
    found = judge(file, Answers(scores=heard(scores())), PLAIN)
    assert found.state == "differs"
    assert "q_proj.bias is no weight of Llama" in found.reasons[0]


def test_what_is_not_decoded_here_is_held_against_nothing_but_what_it_is_asked() -> None:
    unknown = ProbedArtifact(fault="GptOss: fused experts", is_unknown=True)
    file = agreement_file(artifact=unknown).model_copy(update={"source": {}})
    found = judge(file, Answers(scores=heard(scores())), PLAIN)
    assert found.state == "not held"
    assert "cannot be decoded here (GptOss: fused experts)" in found.reasons[0]
    other = judge(file, Answers(scores={}, faults=("reads another BOS",)), PLAIN)
    assert (other.state, other.reasons) == ("differs", ("reads another BOS",))


def test_what_only_rounding_of_inputs_explains_is_allowed_where_there_is_some() -> None:
    file = agreement_file()
    answers = Answers(scores=heard(file.source, off(0.15)))
    assert judge(file, answers, ROUNDED).state == "agrees"
    assert judge(file, answers, PLAIN).state == "differs"


def test_a_fault_alone_makes_a_variant_differ() -> None:
    file = agreement_file()
    answers = Answers(scores=heard(file.source), faults=("a chat without a limit ends",))
    found = judge(file, answers, PLAIN)
    assert (found.state, found.reasons) == ("differs", ("a chat without a limit ends",))


def test_an_engine_that_scores_no_prompts_is_not_held_and_says_so() -> None:
    assert judge(agreement_file(), Answers(scores={}), PLAIN).state == "not held"
    assert judge(agreement_file(), Answers(scores={}, faults=("x",)), PLAIN).state == ("differs")
    assert not_held("why").reasons == ("why",)


def test_a_shorter_context_is_held_against_what_it_heard() -> None:
    file = agreement_file()
    short = {name: values[:100] for name, values in heard(file.source).items()}
    found = judge(file, Answers(scores=short), PLAIN)
    assert found.state == "agrees"
    assert found.tokens == 100 + 100 + 59 + 29 + 16
