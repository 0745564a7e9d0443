"""The texts whose every token is scored, in strata that are large enough to be told of alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deploy.plan import Plan
from loadtest.prompts import read_tokenizer
from quantize.root import ROOT

OWN = "assay_text"
_OWN_TEXTS = ROOT / "eval" / "tasks" / "data" / f"{OWN}.jsonl"
# Of a text no more than this is scored; long ones are there to be long.
MOST_TOKENS = 256
LEAST_TOKENS = 16
# How long the answer to a text's beginning may get, and how much of the text is its question.
ANSWER_TOKENS, QUESTION_TOKENS = 48, 64
# So many of a stratum's texts are also answered.
ANSWERED = 4

STRATA: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("narrative", "essays", "letters", "reports", "notes"), "prose"),
        **dict.fromkeys(("knowledge", "practical"), "prose"),
        **dict.fromkeys(("chats", "dialogue"), "dialogue"),
        **dict.fromkeys(("python", "code"), "code"),
        **dict.fromkeys(("maths", "sums"), "maths"),
        **dict.fromkeys(("structured", "records", "tables"), "data"),
        "tool calls": "tool calls",
        "languages": "languages",
        "long": "long",
    }
)
"""The stratum of each kind of text that the suite has."""


@dataclass(frozen=True, kw_only=True)
class AskedText:
    """One text as token ids, BOS first, and whether its beginning is to be answered too."""

    stratum: str
    ids: tuple[int, ...]
    answered: bool


def asked_texts(plan: Plan, tokenizer_folder: Path) -> list[AskedText]:
    """The texts of a plan: the bundled model's own where it is asked ``assay_text``, else general.

    Long ones are among them where the plan asks ``assay_general_long``. As many as
    ``quality.divergence`` says, the strata in turn.

    Raises:
        PromptError: the model has no tokenizer.
    """
    tokenizer, bos = read_tokenizer(tokenizer_folder)
    room = plan.serving.context_length - 1
    found: list[AskedText] = []
    counts: dict[str, int] = {}
    for kind, text in _texts(plan)[: plan.quality.divergence]:
        stratum = STRATA.get(kind, kind)
        most = room if stratum == "long" else min(room, MOST_TOKENS)
        ids = [bos, *tokenizer.encode(text, add_special_tokens=False).ids][:most]
        if len(ids) < LEAST_TOKENS:
            continue
        counts[stratum] = counts.get(stratum, 0) + 1
        fits = len(ids[:QUESTION_TOKENS]) + ANSWER_TOKENS <= room
        answered = fits and counts[stratum] <= ANSWERED
        found.append(AskedText(stratum=stratum, ids=tuple(ids), answered=answered))
    return found


def _texts(plan: Plan) -> Sequence[tuple[str, str]]:
    """(kind, text)."""
    asked, seed = plan.quality.tasks, plan.quality.seed
    if OWN in asked:
        lines = _OWN_TEXTS.read_text(encoding="utf-8").splitlines()
        return [("held-out", json.loads(line)["text"]) for line in lines]
    # lm-eval's data sets take a second to import, which no other stage has to wait for.
    from eval.suite.texts import LONG, long_texts, texts

    rows = list(texts(seed)["test"])
    if LONG in asked:
        rows = [*long_texts(seed, context_length=plan.serving.context_length)["test"], *rows]
    return [(row["kind"], row["text"]) for row in rows]
