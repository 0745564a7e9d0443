"""Quick scores of a model in memory on the bundled tasks, to calibrate their difficulty.

The published scores come from lm-eval through an endpoint; these agree with them to rounding and
take seconds on a GPU.
"""

import math
from typing import Any

import torch
from torch.nn import functional

from quantize.reference_model.questions import plain_prompt

Row = dict[str, Any]
PAD_ID, NEWLINE_ID, EOS_ID = 3, 18, 2


def log_likelihoods(
    model: Any, tokenizer: Any, pairs: list[tuple[str, str]], batch_size: int = 512
) -> list[float]:
    """Natural-log likelihood of each continuation after its context (BOS in front)."""
    scores: list[float] = []
    for start in range(0, len(pairs), batch_size):
        encoded = []
        for context, continuation in pairs[start : start + batch_size]:
            head = tokenizer(context)["input_ids"]
            encoded.append((head, tokenizer(continuation, add_special_tokens=False)["input_ids"]))
        width = max(len(head) + len(tail) for head, tail in encoded)
        ids = torch.full((len(encoded), width), PAD_ID)
        mask = torch.zeros(len(encoded), width)
        for row, (head, tail) in enumerate(encoded):
            ids[row, : len(head) + len(tail)] = torch.tensor(head + tail)
            mask[row, len(head) : len(head) + len(tail)] = 1
        ids, mask = ids.to(model.device), mask.to(model.device)
        with torch.no_grad():
            logits = model(input_ids=ids).logits[:, :-1].float()
        losses = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        scores += (-(losses * mask[:, 1:]).sum(1)).tolist()
    return scores


def choice_correct(model: Any, tokenizer: Any, rows: list[Row]) -> list[bool]:
    """Whether the right choice has the highest log-likelihood, per item."""
    pairs = [
        (plain_prompt(row["question"]), f" {choice}") for row in rows for choice in row["choices"]
    ]
    scores = torch.tensor(log_likelihoods(model, tokenizer, pairs)).reshape(len(rows), 4)
    answers = torch.tensor([row["answer"] for row in rows])
    return [bool(hit) for hit in scores.argmax(1) == answers]


def words_correct(model: Any, tokenizer: Any, rows: list[Row], new_tokens: int = 96) -> list[bool]:
    """Whether the greedily generated line ends with the right answer, per item."""
    prompts = [tokenizer(plain_prompt(row["question"]))["input_ids"] for row in rows]
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD_ID] * (width - len(prompt)) + prompt for prompt in prompts])
    ids = ids.to(model.device)
    output = model.generate(
        input_ids=ids,
        attention_mask=(ids != PAD_ID).long(),
        max_new_tokens=new_tokens,
        do_sample=False,
        eos_token_id=[EOS_ID, NEWLINE_ID],
        pad_token_id=PAD_ID,
    )
    texts = tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)
    return [
        f"The answer is {row['answer']}." in text for row, text in zip(rows, texts, strict=True)
    ]


def bits_per_byte(model: Any, tokenizer: Any, rows: list[Row]) -> float:
    """Bits per UTF-8 byte of the held-out documents."""
    scores = log_likelihoods(model, tokenizer, [("", row["text"]) for row in rows], batch_size=32)
    size_bytes = sum(len(row["text"].encode()) for row in rows)
    return -sum(scores) / size_bytes / math.log(2)
