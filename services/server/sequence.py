"""One sequence being generated: its state between decode steps, and what it gives out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Literal

import numpy as np

from services.server.backend import Constraint
from services.server.detokenizer import Detokenizer
from services.server.sampling import (
    Logits,
    SamplingParameters,
    TokenScores,
    adjust_logits,
    join_scores,
    score_tokens,
)
from services.server.token_choice import TokenChoice

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """What one sequence must do.

    ``logprobs``: likeliest tokens to report beside each generated one, None for no scores;
    ``prompt_logprobs`` the same for the prompt. ``stream``: give out every step. ``constraint`` is
    this sequence's own, and moves on with it.
    """

    prompt: list[int]
    max_tokens: int
    sampling: SamplingParameters
    min_tokens: int = 0
    stops: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    stream: bool = False
    constraint: Constraint | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a sequence gives out at once: one step of a stream, or everything at the end.

    ``scores`` are of ``tokens``; ``prompt_scores`` of the prompt's tokens from the second on.
    """

    text: str
    tokens: list[int]
    scores: TokenScores | None = None
    prompt_scores: TokenScores | None = None
    finish_reason: FinishReason | None = None
    error: str | None = None


@dataclass(eq=False)
class Sequence:
    """State of one request; after submit only the scheduler's threads touch it, one at a time.

    ``piece`` gives a token's bytes; the scheduler sets it.
    """

    request: GenerationRequest
    deliver: Callable[[Chunk], None]
    piece: Callable[[int], bytes] = field(init=False)
    slot: int = -1
    # Prompt tokens already in the cache, and places of the prompt already scored.
    prefilled: int = 0
    prompt_scores: list[TokenScores] = field(default_factory=list)
    generated: list[int] = field(default_factory=list)
    cancelled: bool = False
    # Writes a chunk without the server's loop, if it may: given how many went to the loop so far.
    write: Callable[[Chunk, int], bool] | None = None
    handed_over: int = 0

    def __post_init__(self) -> None:
        request = self.request
        self._detokenizer = Detokenizer(request.stops)
        self._alters = request.sampling.alters_logits or request.constraint is not None
        # Whether every token is the likeliest of the logits as they are.
        self.takes_likeliest = (
            request.sampling.is_greedy and not self._alters and not request.min_tokens
        )
        self._choice = TokenChoice(request.sampling)
        self._counts: Counter[int] = Counter()
        # The tokens that a repetition penalty is on.
        self._seen: set[int] = set()
        if request.sampling.repetition_penalty != 1:
            self._seen.update(request.prompt)
        # How many of the tokens are read as text, and how many are given out.
        self._read = self._given = 0
        self._text = ""
        self._scores: list[TokenScores] = []
        self._finish_reason: FinishReason | None = None

    @cached_property
    def _uniform(self) -> Callable[[], float]:
        """The uniform numbers that its seed gives."""
        return Random(self.request.sampling.seed).random

    @property
    def is_prefilling(self) -> bool:
        """Whether prompt tokens are still to be decoded."""
        return self.prefilled < len(self.request.prompt)

    @property
    def wants_token(self) -> bool:
        """Whether anything is to be generated (``max_tokens`` 0 only scores the prompt)."""
        return self.request.max_tokens > 0

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.request.prompt) + len(self.generated)

    @property
    def cached_tokens(self) -> list[int]:
        """What has been decoded: the latest token has not."""
        return self.request.prompt[: self.prefilled] + self.generated[:-1]

    @property
    def cached_length(self) -> int:
        """How many those are."""
        return self.prefilled + max(0, len(self.generated) - 1)

    def choose(self, logits: Logits, likeliest: int, end_tokens: frozenset[int]) -> int:
        """Draw the next token from one row of logits, whose likeliest token is known."""
        request = self.request
        must_go_on = len(self.generated) < request.min_tokens
        if not (self._alters or must_go_on):
            return self._choice(logits, likeliest, self._uniform)
        if request.sampling.alters_logits or must_go_on:
            banned = sorted(end_tokens) if must_go_on else ()
            logits = adjust_logits(logits, request.sampling, self._counts, banned, self._seen)
        if request.constraint is not None:
            return self._choose_within(request.constraint, logits, end_tokens)
        return self._draw(logits)

    def _draw(self, logits: Logits) -> int:
        return self._choice(logits, int(logits.argmax()), self._uniform)

    def _choose_within(
        self, constraint: Constraint, logits: Logits, end_tokens: frozenset[int]
    ) -> int:
        """Draw what may come next; an answer that nothing may follow ends."""
        token = self._draw(logits)
        # A token that is drawn from all and allowed is as likely as one drawn from those allowed,
        # and is found far sooner; but what cuts the tail off must cut it among these.
        if self.request.sampling.cuts_tail or not constraint.allows(token):
            allowed = constraint.restrict(logits)
            if allowed.max() == -np.inf:
                return min(end_tokens, default=token)
            token = self._draw(allowed)
        if token not in end_tokens:
            constraint.accept(token)
        return token

    def accept(self, token: int, scores: TokenScores | None, is_end: bool) -> bool:
        """Take one generated token; returns whether the sequence is finished with it."""
        request = self.request
        self.generated.append(token)
        if self._alters:
            self._counts[token] += 1
            self._seen.add(token)
        if scores is not None:
            self._scores.append(scores)
        # Text is read when it is asked for; but a stop string is found where it ends.
        if request.stops:
            self._read_on()
        if (is_end and not request.ignore_eos) or self._detokenizer.stopped:
            self._finish_reason = "stop"
        elif len(self.generated) >= request.max_tokens:
            self._finish_reason = "length"
        return self._finish_reason is not None

    def _read_on(self) -> None:
        """Turn the tokens that are not read yet into text."""
        pieces = b"".join(map(self.piece, self.generated[self._read :]))
        self._read = len(self.generated)
        self._text += self._detokenizer.push(pieces)

    def join_prompt_scores(self) -> TokenScores:
        """The prompt's scores as one; kept as one for the chunk to come."""
        joined = join_scores(self.prompt_scores)
        self.prompt_scores = [joined]
        return joined

    def take_chunk(self) -> Chunk | None:
        """What a stream may give out now; None while text is held back and nothing else is new."""
        self._read_on()
        if not (self._text or self._scores or self.prompt_scores):
            return None
        return self._chunk(self._text, None)

    def writes(self, chunk: Chunk) -> bool:
        """Whether a chunk has been written; otherwise it counts as handed over."""
        if self.write is not None and self.write(chunk, self.handed_over):
            return True
        self.handed_over += 1
        return False

    def take_last(self) -> Chunk:
        """Everything not yet given out, with the reason why it ends."""
        self._read_on()
        reason = self._finish_reason if self.generated else "length"
        return self._chunk(self._text + self._detokenizer.finish(), reason)

    def _chunk(self, text: str, reason: FinishReason | None) -> Chunk:
        chunk = Chunk(
            text,
            self.generated[self._given :],
            join_scores(self._scores) if self._scores else None,
            join_scores(self.prompt_scores) if self.prompt_scores else None,
            reason,
        )
        self._given = len(self.generated)
        self._text, self._scores, self.prompt_scores = "", [], []
        return chunk


def score_chosen(
    ready: list[tuple[Sequence, int]], tokens: list[int], logits: Logits
) -> list[TokenScores | None]:
    """Scores of ``tokens`` for those sequences that asked; each is paired with its row of logits.

    They are computed together, with the largest ``k`` asked.
    """
    asked = [index for index, (seq, _) in enumerate(ready) if seq.request.logprobs is not None]
    scores: list[TokenScores | None] = [None] * len(ready)
    if asked:
        k = max(ready[index][0].request.logprobs or 0 for index in asked)
        rows = logits[[ready[index][1] for index in asked]]
        found = score_tokens(rows, [tokens[index] for index in asked], k)
        for place, index in enumerate(asked):
            wanted = ready[index][0].request.logprobs or 0
            scores[index] = found.part(place, place + 1).narrowed(wanted)
    return scores
