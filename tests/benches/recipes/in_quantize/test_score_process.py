"""A text's score in process is that of its own tokens after one BOS, as an endpoint's is."""

import json

import pytest
import torch
from lm_eval.api.instance import Instance
from transformers import AutoTokenizer

from quantize.emulation.in_quantize.emulation import load_any
from quantize.root import ROOT
from quantize.source.source_model import REFERENCE_WEIGHTS
from tests.benches.recipes.in_quantize.score_process import InProcessModel

# Nats of the first document of assay_text on the unquantized model, after one BOS.
FIRST_DOCUMENT_NATS = 77.75


def test_the_first_document_scores_as_its_tokens_do_after_one_bos() -> None:
    lines = (ROOT / "eval" / "tasks" / "data" / "assay_text.jsonl").read_text().splitlines()
    text = json.loads(lines[0])["text"]
    tokenizer = AutoTokenizer.from_pretrained(REFERENCE_WEIGHTS)
    loaded = load_any(REFERENCE_WEIGHTS, REFERENCE_WEIGHTS)
    model = InProcessModel(pretrained=loaded, tokenizer=tokenizer, batch_size=2, max_length=1024)
    request = Instance("loglikelihood_rolling", {"text": text}, (text,), 0)
    (found,) = model.loglikelihood_rolling([request])

    ids = tokenizer(text, add_special_tokens=False).input_ids
    sequence = torch.tensor([[tokenizer.bos_token_id, *ids]])
    logits = loaded(sequence).logits[0, :-1].float().log_softmax(dim=-1)
    alone = float(logits.gather(1, sequence[0, 1:, None]).sum())
    assert found == pytest.approx(alone, abs=1e-3)
    assert -found == pytest.approx(FIRST_DOCUMENT_NATS, abs=0.01)
    assert model.count_tokens("", text) == len(ids)
