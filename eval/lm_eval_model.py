"""lm-eval's ``local-completions`` model, held to what it must not do silently.

lm-eval 0.4.13 (``lm_eval/models/api_models.py``, ``openai_completions.py``) is used as it is,
but for five traps:

* It slices ``token_logprobs[context:-1]`` without looking at the length: an engine that echoes
  nothing scores every choice 0. Here the lengths are checked.
* It sends ``seed``, which greedy decoding does not need and some engines refuse.
* Its rolling log-likelihood sends one document at a time, whatever the concurrency, and puts a
  second BOS before a text that already carries one. Here all windows of all documents go out
  together, and only the text's own tokens are scored.
* It never adds BOS unless told to. A tokenizer that adds BOS by itself (Llama) must be followed,
  or every variant is measured in a state the model never saw in training.
* It cuts contexts that do not fit, with a line in a log. Here the cut items are counted.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

from deploy.client_key import CLIENT_VARIABLE
from eval.lm_eval_answers import MISSHAPEN, prove_scored, unreadable, written
from eval.lm_eval_samples import answer_tokens
from eval.rolling_windows import rolling_likelihoods
from eval.task_refusals import without_neutral

Progress = Callable[[int, int], None]
"""Called with the prompts answered so far and the prompts of the task."""


# With more of its prompts cut than this a task asks something else than it says.
_MOST_CUT = 0.5


class ContextTooShortError(ValueError):
    """Most prompts of a task do not fit what the endpoint serves."""


class EndpointModel(LocalCompletionsAPI):  # type: ignore[misc]
    """The endpoint of one variant, asked with token ids.

    ``truncated`` counts the prompts of the current task that did not fit the context.
    """

    def __init__(
        self,
        *,
        base_url: str,
        served_name: str,
        tokenizer: str,
        concurrency: int,
        batch_size: int,
        context_length: int,
        request_timeout_s: float,
        tries: int,
        progress: Progress,
    ) -> None:
        # lm-eval would send OPENAI_API_KEY, which is a key of somebody else's service.
        header = {"Authorization": f"Bearer {os.environ.get(CLIENT_VARIABLE, '')}"}
        super().__init__(
            base_url=base_url,
            model=served_name,
            tokenizer=tokenizer,
            tokenizer_backend="huggingface",
            tokenized_requests=True,
            num_concurrent=concurrency,
            batch_size=batch_size,
            max_length=context_length,
            max_retries=tries,
            timeout=int(request_timeout_s),
            header=header,
        )
        ids = self.tokenizer("a").input_ids
        self.add_bos_token = bool(ids) and ids[0] == self.tokenizer.bos_token_id
        self._report = progress
        self.vocabulary = len(self.tokenizer)
        self.default_answer = int(self._max_gen_toks)
        self.begin_task()

    def begin_task(self) -> None:
        """Forget the counts of the task before."""
        self.done = self.total = self.truncated = 0

    def text_tokens(self, text: str) -> list[int]:
        """The token ids of a text, without BOS."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def tok_encode(self, string: Any, *args: Any, **kwargs: Any) -> Any:
        """Token ids of a text, or of several; a chat template's own BOS is not doubled."""
        found = super().tok_encode(string, *args, **kwargs)
        twice = [self.tokenizer.bos_token_id] * 2
        if isinstance(string, str):
            return found[1:] if found[:2] == twice else found
        return [ids[1:] if ids[:2] == twice else ids for ids in found]

    def count_tokens(self, context: str, continuation: str) -> int:
        """How many tokens of ``continuation`` are scored after ``context``."""
        if not context:
            return len(self.text_tokens(continuation))
        return len(self._encode_pair(context, continuation)[1])

    def _create_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._create_payload(*args, **kwargs)
        payload.pop("seed", None)
        return without_neutral(payload)

    def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> list[tuple[float, bool]]:
        self.total += len(requests)
        self.truncated += sum(
            len(context) + len(continuation) > self.max_length
            for _, context, continuation in requests
        )
        self._check_fit()
        scored: list[tuple[float, bool]] = super()._loglikelihood_tokens(requests, **kwargs)
        return scored

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """Log-likelihood in nats of every document, all windows asked together.

        Windows are disjoint, each after one token of context, the first after BOS (or EOS).
        """
        texts = [self.text_tokens(request.args[0]) for request in requests]
        return rolling_likelihoods(
            texts, self.prefix_token_id, self.max_length - 1, self._loglikelihood_tokens
        )

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """The generated answers."""
        self.total += len(requests)
        for request in requests:
            context, options = request.args
            room = self.max_length - answer_tokens(options, self._max_gen_toks)
            self.truncated += len(self.tok_encode(context)) > room
        self._check_fit()
        answers: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        return answers

    def _check_fit(self) -> None:
        if self.truncated > _MOST_CUT * self.total:
            raise ContextTooShortError(
                f"{self.truncated:,} of {self.total:,} prompts do not fit serving.context_length "
                f"({self.max_length + 1}); raise it in the plan"
            )

    @staticmethod
    def parse_logprobs(
        outputs: Any,
        tokens: list[list[int]] | None = None,
        ctxlens: list[int] | None = None,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        """lm-eval's parsing, after the proof that every prompt token came back scored.

        Raises:
            EndpointAnswerError: a choice or a log-probability is missing.
        """
        assert tokens is not None
        prove_scored(outputs, tokens)
        try:
            scored: list[tuple[float, bool]] = LocalCompletionsAPI.parse_logprobs(
                outputs=outputs, tokens=tokens, ctxlens=ctxlens, **kwargs
            )
        except MISSHAPEN as error:
            raise unreadable(error) from None
        return scored

    @staticmethod
    def parse_generations(outputs: Any, **kwargs: Any) -> list[str]:
        """lm-eval's parsing, after the proof that every choice has a text; each says how it ended.

        Without a text lm-eval would score a filler of its own, as if the model had said that.

        Raises:
            EndpointAnswerError: a choice or its text is missing.
        """
        try:
            texts: list[Any] = LocalCompletionsAPI.parse_generations(outputs=outputs, **kwargs)
        except MISSHAPEN as error:
            raise unreadable(error) from None
        return list(written(outputs, texts))

    async def amodel_call(self, *args: Any, messages: Sequence[Any], **kwargs: Any) -> Any:
        """One request, with as many prompts as a batch holds."""
        answers = await super().amodel_call(*args, messages=messages, **kwargs)
        self._count(len(messages))
        return answers

    def model_call(self, messages: Sequence[Any], **kwargs: Any) -> Any:
        """The same where the plan asks for one request at a time.

        lm-eval reads the answer only when it cannot ask again any more; here it is held to its
        shape before.
        """
        answer = super().model_call(messages, **kwargs)
        if kwargs.get("generate", True):
            self.parse_generations(answer)
        else:
            prove_scored(answer, messages)
        self._count(len(messages))
        return answer

    def _count(self, prompts: int) -> None:
        self.done += prompts
        self._report(self.done, self.total)
