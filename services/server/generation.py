"""From a validated body to running sequences, and their chunks back on the server's loop."""

import asyncio
import dataclasses
from dataclasses import dataclass, field

from services.http.errors import TOO_LONG, RequestError
from services.server.backend import Backend, Constraint
from services.server.protocol import GenerationBody
from services.server.sampling import TokenScores, join_scores
from services.server.scheduler import Scheduler
from services.server.sequence import Chunk, FinishReason, GenerationRequest, Sequence

DEFAULT_COMPLETION_TOKENS = 16


@dataclass
class Choice:
    """One finished answer: the sum of its chunks."""

    index: int
    prompt: list[int]
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    scores: TokenScores | None = None
    prompt_scores: TokenScores | None = None
    finish_reason: FinishReason | None = None

    def add(self, chunk: Chunk) -> None:
        """Append a chunk."""
        self.text += chunk.text
        self.tokens += chunk.tokens
        self.scores = _joined(self.scores, chunk.scores)
        self.prompt_scores = _joined(self.prompt_scores, chunk.prompt_scores)
        self.finish_reason = chunk.finish_reason


class Generation:
    """All sequences of one HTTP request, and the queue where their chunks arrive."""

    def __init__(self, requests: list[GenerationRequest]) -> None:
        self.requests = requests
        self._arrived: list[tuple[int, Chunk]] = []
        self._news = asyncio.Event()
        self.sequences = [
            Sequence(request, _Receiver(self._arrived, self._news, index))
            for index, request in enumerate(requests)
        ]
        self._open = len(requests)
        self.abandoned = False

    def start(self, scheduler: Scheduler) -> None:
        """Queue every sequence; raises RequestError (429, 503)."""
        scheduler.submit(self.sequences)

    def cancel(self) -> None:
        """Let the engine drop what still runs, at its next step."""
        for sequence in self.sequences:
            sequence.cancelled = True

    def abandon(self) -> None:
        """Nobody waits for the answer any more: whoever waits for chunks gets none."""
        self.abandoned = True
        self.cancel()
        self._news.set()

    async def next_chunks(self) -> list[tuple[int, Chunk]]:
        """Wait for at least one chunk, with the index of its choice; empty after the last.

        None come of an answer that was abandoned.

        Raises:
            RequestError: 503, the engine gave up on a sequence.
        """
        if not self._open:
            return []
        await self._news.wait()
        if self.abandoned:
            return []
        chunks = self._arrived.copy()
        self._arrived.clear()
        self._news.clear()
        for _, chunk in chunks:
            if chunk.error is not None:
                raise RequestError(503, f"the engine failed: {chunk.error}")
            self._open -= chunk.finish_reason is not None
        return chunks

    async def finish(self) -> list[Choice]:
        """Wait for every sequence; choices in order, unfinished ones of an abandoned answer."""
        choices = [Choice(i, request.prompt) for i, request in enumerate(self.requests)]
        while chunks := await self.next_chunks():
            for index, chunk in chunks:
                choices[index].add(chunk)
        return choices


@dataclass(frozen=True)
class _Receiver:
    """Called on the server's loop with a sequence's chunks."""

    arrived: list[tuple[int, Chunk]]
    news: asyncio.Event
    index: int

    def __call__(self, chunk: Chunk) -> None:
        self.arrived.append((self.index, chunk))
        self.news.set()


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Which log-probabilities a request wants: likeliest tokens to report, None for none."""

    logprobs: int | None = None
    prompt_logprobs: int | None = None


def plan_requests(
    backend: Backend,
    body: GenerationBody,
    prompts: list[list[int]],
    max_tokens: int | None,
    scoring: Scoring,
) -> list[GenerationRequest]:
    """One request per prompt and per ``n``, choices of a prompt side by side.

    ``max_tokens`` None means as many as fit. Each of ``n`` draws from its own seed.

    Raises:
        RequestError: 400, a prompt is empty, has unknown tokens, or does not fit.
    """
    sampling = body.sampling(backend.capacity.vocab_size)
    requests = []
    for prompt in prompts:
        allowed = _allowed_tokens(backend, prompt, max_tokens)
        min_tokens = body.min_tokens or 0
        if min_tokens > allowed:
            raise RequestError(
                400,
                f"min_tokens: {min_tokens} is more than max_tokens, {allowed}",
                param="min_tokens",
            )
        for choice in range(body.n or 1):
            seed = None if sampling.seed is None else (sampling.seed + choice) % 2**63
            requests.append(
                GenerationRequest(
                    prompt=prompt,
                    max_tokens=allowed,
                    sampling=dataclasses.replace(sampling, seed=seed),
                    min_tokens=min_tokens,
                    stops=body.stops(),
                    ignore_eos=bool(body.ignore_eos),
                    logprobs=scoring.logprobs,
                    prompt_logprobs=scoring.prompt_logprobs,
                    stream=bool(body.stream),
                    constraint=_constraint(backend, body.schema_text()),
                )
            )
    return requests


def _constraint(backend: Backend, schema: str | None) -> Constraint | None:
    try:
        return None if schema is None else backend.constrain(schema)
    except ValueError as error:
        message = f"response_format.json_schema.schema: {error}"
        raise RequestError(400, message, param="response_format") from None


def _allowed_tokens(backend: Backend, prompt: list[int], max_tokens: int | None) -> int:
    capacity = backend.capacity
    if not prompt:
        raise RequestError(400, "prompt: expected at least one token", param="prompt")
    if min(prompt) < 0 or max(prompt) >= capacity.vocab_size:
        raise RequestError(
            400, f"prompt: token ids must be in 0 to {capacity.vocab_size - 1}", param="prompt"
        )
    room = capacity.context_length - len(prompt)
    if room < (1 if max_tokens is None else max_tokens):
        asked = "" if max_tokens is None else f" and {max_tokens} to generate"
        raise RequestError(
            400,
            f"prompt: {len(prompt)} tokens{asked} do not fit the context length of "
            f"{capacity.context_length}",
            param="prompt",
            code=TOO_LONG,
        )
    return room if max_tokens is None else max_tokens


def _joined(left: TokenScores | None, right: TokenScores | None) -> TokenScores | None:
    if left is None or right is None:
        return left if right is None else right
    return join_scores([left, right])
