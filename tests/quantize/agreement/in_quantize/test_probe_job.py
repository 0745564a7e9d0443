"""The probe covers what it must, and its scores are those of transformers on the source.

covers: quantize/agreement/in_quantize/probe_text.py, quantize/agreement/probe.py
"""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantize.agreement.in_quantize.probe_job import carry_out
from quantize.agreement.in_quantize.probe_text import make_probe
from quantize.agreement.probe import ArtifactToProbe, Probed, ProbeRequest
from quantize.calibration.calibration_set import BUNDLED_TEXT
from tests.quantize.tiny_model import Family, make_tiny_model

TOKENS = 300


def small(folder: Path, *, seed: int = 0, family: Family = "llama") -> Path:
    return make_tiny_model(folder, hidden_size=128, intermediate_size=128, seed=seed, family=family)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="module")
def probed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Probed:
    older = small(tmp_path_factory.mktemp("older") / "model", seed=1)
    foreign = small(tmp_path_factory.mktemp("foreign") / "model", family="qwen3")
    (foreign / "config.json").write_text((source / "config.json").read_text())
    artifacts = {"same": source, "older": older, "foreign": foreign}
    request = ProbeRequest(
        model=source,
        text=BUNDLED_TEXT,
        tokens=TOKENS,
        artifacts=tuple(
            ArtifactToProbe(recipe=name, artifact=folder, bits=4)
            for name, folder in artifacts.items()
        ),
        threads=1,
    )
    return carry_out(request, lambda _: None)


def test_it_has_bos_and_none_and_every_special_token_and_a_text_and_a_chat(
    source: Path, probed: Probed
) -> None:
    ids = {sequence.name: sequence.ids for sequence in probed.probe.sequences}
    assert len(ids["with BOS"]) == TOKENS
    assert (ids["with BOS"][0], ids["without BOS"][0]) == (1, ids["with BOS"][1])
    assert {0, 1, 2} <= set(ids["special tokens"])
    tokenizer = AutoTokenizer.from_pretrained(source)
    text = next(each for each in probed.probe.sequences if each.text is not None)
    assert list(text.ids) == tokenizer(text.text)["input_ids"]
    assert probed.probe.chat is not None
    assert probed.probe.chat.ids == ids["chat"]
    assert probed.probe.end_tokens == (2,)


def test_its_scores_are_those_of_the_model(source: Path, probed: Probed) -> None:
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    (sequence,) = (each for each in probed.probe.sequences if each.name == "without BOS")
    ids = torch.tensor([list(sequence.ids)])
    with torch.no_grad():
        logprobs = model(ids).logits[0].double().log_softmax(-1)
    found = probed.source[sequence.name]
    for place, token in enumerate(sequence.ids[1:]):
        assert found.logprobs[place] == pytest.approx(float(logprobs[place, token]), abs=1e-4)
        p = logprobs[place].exp()
        others = float(p.square().sum() - p[token] ** 2)
        spread = math.sqrt(others + (1 - float(p[token])) ** 2)
        assert found.spread[place] == pytest.approx(spread, abs=1e-4)
    assert found.bf16_nats is not None
    assert 0 < found.bf16_nats < 0.1


def test_an_artifact_is_scored_by_its_own_weights_and_those_held_against_the_sources(
    probed: Probed,
) -> None:
    same, older = probed.artifacts["same"], probed.artifacts["older"]
    name = "with BOS"
    assert same.scores[name].logprobs == pytest.approx(probed.source[name].logprobs, abs=1e-3)
    assert same.farthest is not None
    assert same.farthest.residual < 1e-3
    assert older.scores[name].logprobs != pytest.approx(probed.source[name].logprobs, abs=0.1)
    assert older.farthest is not None
    assert older.farthest.residual > older.farthest.limit


def test_an_artifact_that_is_no_model_of_its_architecture_is_told_and_stops_no_other(
    probed: Probed,
) -> None:
    assert "_norm.weight is no weight of LlamaForCausalLM" in str(probed.artifacts["foreign"].fault)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('one turn only') }}", "the chat template refuses a user's message"),
        ("{{ strftime_now('%d %b %Y') }}", "the chat template writes the date"),
        ("{% if %}", "the chat template refuses a user's message"),
        (None, "the model has no chat template"),
    ],
)
def test_a_template_that_cannot_be_held_is_left_out_with_the_reason(
    source: Path, tmp_path: Path, template: str | None, why: str
) -> None:
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    probe = make_probe(tmp_path, BUNDLED_TEXT, 100)
    assert probe.chat is None
    assert (probe.no_chat or "").startswith(why)
    assert all(sequence.name != "chat" for sequence in probe.sequences)
