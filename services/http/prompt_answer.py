"""The answer to a prompt that is only scored, as OpenAI counts it: nothing was generated."""

from services.http.edited_answer import Answer, EditedAnswer


class PromptAnswer(EditedAnswer):
    """For engines that generate a token where ``max_tokens`` is 0, keep it back and count it."""

    def edit(self, answer: Answer) -> bool:
        """Count the prompt alone, wherever there is a count."""
        usage = answer.get("usage")
        if usage:
            usage |= {"completion_tokens": 0, "total_tokens": usage["prompt_tokens"]}
        return bool(usage)

    def edit_event(self, answer: Answer) -> bool:
        """Count the prompt alone, wherever there is a count."""
        return self.edit(answer)
