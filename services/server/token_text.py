"""Tokens as text in responses, and their log-probabilities in OpenAI's two shapes.

JSON has no infinity: an impossible token is reported as -9999, as vLLM does.
"""

from collections.abc import Callable, Sequence

from services.server.backend import Backend
from services.server.sampling import TokenScores

_LOWEST_LOGPROB = -9999.0


class TokenText:
    """Texts of single tokens and of whole prompts."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def token(self, token: int) -> str:
        """One token as it is shown; a part of a character is a replacement character."""
        return self._backend.piece(token, special=True).decode(errors="replace")

    def prompt(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """A whole prompt's text; with control tokens only if ``special``."""
        raw = b"".join(self._backend.piece(token, special=special) for token in tokens)
        if self._backend.capacity.strips_first_space:
            raw = raw.removeprefix(b" ")
        return raw.decode(errors="replace")

    def completion_logprobs(
        self,
        tokens: Sequence[int],
        scores: TokenScores | None,
        offset: int,
        unscored: int = 0,
        *,
        as_ids: bool = False,
    ) -> dict[str, list[object]]:
        """The ``logprobs`` of a completion; the first ``unscored`` tokens have null scores.

        ``offset`` is where the first token begins in the text. Each entry of ``top_logprobs``
        has the likeliest tokens and the token itself. Two tokens of the same text (bytes of
        unfinished characters) share a key: the likelier one keeps it, so that the highest value
        always belongs to the likeliest token. ``as_ids`` calls tokens ``token_id:<id>``, as vLLM
        does for ``return_tokens_as_token_ids``: then none share a key.
        """
        texts = [self.token(token) for token in tokens]
        name = _id_name if as_ids else self.token
        names = [name(token) for token in tokens]
        offsets: list[object] = []
        for text in texts:
            offsets.append(offset)
            offset += len(text)
        nulls: list[object] = [None] * unscored
        chosen = [] if scores is None else [_finite(value) for value in scores.chosen.tolist()]
        return {
            "text_offset": offsets,
            "token_logprobs": [*nulls, *chosen],
            "tokens": list(names),
            "top_logprobs": [*nulls, *_tops(names[unscored:], chosen, scores, name)],
        }

    def chat_logprobs(
        self, tokens: Sequence[int], scores: TokenScores | None
    ) -> dict[str, list[object]]:
        """The ``logprobs`` of a chat choice."""
        content: list[object] = []
        if scores is not None:
            rows = zip(
                tokens,
                scores.chosen.tolist(),
                scores.top_ids.tolist(),
                scores.top.tolist(),
                strict=True,
            )
            for token, value, ids, values in rows:
                tops = [self._entry(i, v) for i, v in zip(ids, values, strict=True)]
                content.append({**self._entry(token, value), "top_logprobs": tops})
        return {"content": content}

    def _entry(self, token: int, value: float) -> dict[str, object]:
        return {
            "token": self.token(token),
            "logprob": _finite(value),
            "bytes": list(self._backend.piece(token, special=True)),
        }


def _tops(
    names: Sequence[str],
    chosen: Sequence[float],
    scores: TokenScores | None,
    name: Callable[[int], str],
) -> list[dict[str, float]]:
    tops = []
    if scores is not None:
        rows = zip(names, chosen, scores.top_ids.tolist(), scores.top.tolist(), strict=True)
        for own, value, ids, values in rows:
            top: dict[str, float] = {}
            for other, other_value in zip(ids, values, strict=True):
                top.setdefault(name(other), _finite(other_value))
            top.setdefault(own, value)
            tops.append(top)
    return tops


def _id_name(token: int) -> str:
    return f"token_id:{token}"


def _finite(value: float) -> float:
    return max(value, _LOWEST_LOGPROB)
