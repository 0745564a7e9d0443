"""Score token ids with transformers in float32: the yardstick of engines; ``quantize`` environment.

``python -m quantize.source.in_quantize.reference_scores MODEL TEXTS OUTPUT``: TEXTS is a JSON list
of strings, OUTPUT a JSON list of ``{"ids", "logprobs"}``: the ids of each text by the model's own
tokenizer, at most
``TOKENS``, and the log-probability of every id but the first, in nats.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOKENS = 64


def main() -> None:
    """Write OUTPUT."""
    folder, texts, output = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    items = []
    for text in json.loads(Path(texts).read_text()):
        ids = tokenizer(text)["input_ids"][:TOKENS]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double()
        scores = logits.log_softmax(-1)[range(len(ids) - 1), ids[1:]]
        items.append({"ids": ids, "logprobs": scores.tolist()})
    Path(output).write_text(json.dumps(items))


if __name__ == "__main__":
    main()
