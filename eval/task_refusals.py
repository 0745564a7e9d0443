"""Why a task cannot be asked or scored, before anything is asked: pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.lm_eval_samples import ACCURACY_METRICS, ROLLING, answer_tokens

NEEDS: Mapping[str, frozenset[str]] = {
    "multiple_choice": frozenset({"echo_logprobs", "token_ids"}),
    "loglikelihood": frozenset({"echo_logprobs", "token_ids"}),
    ROLLING: frozenset({"echo_logprobs", "token_ids"}),
    "generate_until": frozenset({"every_end", "plain_sampling", "stop", "token_ids"}),
}
"""What an endpoint must be able to do for each of lm-eval's request types.

An answer that ends elsewhere or is drawn otherwise is an answer to another question.
"""

# What lm-eval itself reads of a task's generation_kwargs, and what every engine is asked alike.
_READ = {"until", "do_sample", "temperature", "max_gen_toks", "max_tokens"}
_SENT = {
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
}
# Values that change nothing, of parameters that an engine may not know.
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_return_sequences": (1,),
    "top_p": (1, 1.0),
    "top_k": (0, -1),
    "min_p": (0, 0.0),
    "repetition_penalty": (1, 1.0),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
}


@dataclass(frozen=True, kw_only=True)
class TaskTraits:
    """What decides whether a task can be asked, by lm-eval's words.

    ``examples`` tells whether it has a split of its own to take examples from.
    """

    output_type: str
    metrics: Sequence[str]
    generation: Mapping[str, Any]
    examples: bool


def without_neutral(generation: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters but for those whose value changes nothing."""
    return {
        name: value
        for name, value in generation.items()
        if value is not None and value not in _NEUTRAL.get(name, ())
    }


def unscorable(
    traits: TaskTraits, *, context_length: int, default_answer: int, num_fewshot: int | None
) -> str | None:
    """Why no variant can be asked the task; None where all can."""
    if traits.output_type not in NEEDS:
        return f"requests of type {traits.output_type} cannot be sent to a completions endpoint"
    if traits.output_type == ROLLING:
        return None
    if not set(ACCURACY_METRICS).intersection(traits.metrics):
        return (
            f"it reports {', '.join(traits.metrics)}, none of which is an accuracy "
            f"({', '.join(ACCURACY_METRICS)})"
        )
    if num_fewshot and not traits.examples:
        return "it has no split to take quality.num_fewshot examples from (fewshot_split)"
    if traits.output_type != "generate_until":
        return None
    strange = sorted(set(without_neutral(traits.generation)) - _READ - _SENT)
    if strange:
        told = ", ".join(f"{name}: {traits.generation[name]}" for name in strange)
        return f"not every engine takes what its generation_kwargs ask for ({told})"
    length = answer_tokens(traits.generation, default_answer)
    if length > context_length - 2:
        return (
            f"it generates up to {length} tokens, but serving.context_length is {context_length}; "
            "raise it in the plan"
        )
    return None


def incapable(output_type: str, capabilities: frozenset[str]) -> str | None:
    """Why one endpoint cannot be asked; None where it can."""
    missing = sorted(NEEDS[output_type] - capabilities)
    return f"the endpoint cannot do {', '.join(missing)}" if missing else None
