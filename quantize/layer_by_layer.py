"""Run GPTQModel on one request; in the ``quantize`` environment, in a process of its own.

The model's layers are loaded, quantized and put aside one after the other, so that memory stays
near that of one layer and its inputs.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from gptqmodel import BACKEND, GPTQModel, QuantizeConfig
from transformers import AutoTokenizer

from quantize.calibration import CalibrationPlan, pack, read_texts, token_sha256

_BATCH_SIZE = 4


def run(make_config: Callable[[Mapping[str, Any], str], QuantizeConfig], backend: BACKEND) -> None:
    """Carry out the request whose path is the first argument.

    Exits with 2 and one line on stderr where the calibration text is at fault.
    """
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(0)
    torch.set_num_threads(request["threads"])
    try:
        sequences = _calibration_tokens(request)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    Path(request["outcome"]).write_text(json.dumps({"calibration_sha256": token_sha256(sequences)}))
    model = GPTQModel.load(
        request["model"],
        make_config(request["parameters"], request["offload"]),
        dtype=torch.bfloat16,
        trust_remote_code=False,
    )
    batch = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in sequences]
    model.quantize(batch, batch_size=_BATCH_SIZE, backend=backend)
    model.save(request["saved"])


def _calibration_tokens(request: Mapping[str, Any]) -> list[list[int]]:
    calibration = request["calibration"]
    plan = CalibrationPlan(**{**calibration, "path": Path(calibration["path"])})
    tokenizer = AutoTokenizer.from_pretrained(request["model"])
    texts = read_texts(plan.path)
    return pack((tokenizer(text)["input_ids"] for text in texts), plan)
