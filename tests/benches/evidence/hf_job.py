"""What lm-eval's own ``hf`` backend is asked, and what it answers; known on both sides of it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from quantize.jobs.job_module import JobModule


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HfRequest(_Message):
    """``model`` is a folder; tasks are those of ``tasks_dir``, each asked as a plan asks it."""

    model: Path
    tasks_dir: Path
    tasks: tuple[str, ...]
    limit: int
    num_fewshot: int
    apply_chat_template: bool
    context_length: int
    threads: int


class HfTable(_Message):
    """lm-eval's figures, by task and its own names of metrics."""

    figures: dict[str, dict[str, float]]


HF: JobModule[HfRequest, HfTable, HfTable] = JobModule(
    module="tests.benches.evidence.in_quantize.ask_hf",
    environment="quantize",
    request=HfRequest,
    tells=(HfTable,),
    reply=HfTable,
)
