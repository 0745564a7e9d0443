"""lm-eval as anybody runs it: its ``hf`` backend on a folder, in the ``quantize`` environment."""

from collections.abc import Callable

import torch
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from quantize.jobs.job_server import serve
from tests.benches.evidence.hf_job import HF, HfRequest, HfTable

_ROLLING = "loglikelihood_rolling"


def carry_out(request: HfRequest, _: Callable[[HfTable], None]) -> HfTable:
    """All tasks, one after the other."""
    torch.set_num_threads(request.threads)
    model = HFLM(
        pretrained=str(request.model),
        dtype="float32",
        device="cpu",
        max_length=request.context_length,
        batch_size=8,
    )
    manager = TaskManager(include_path=[str(request.tasks_dir)], include_defaults=False)
    figures = {}
    for name in request.tasks:
        task = manager.load([name])["tasks"][name]
        if task.OUTPUT_TYPE != _ROLLING:
            task.set_config(key="num_fewshot", value=request.num_fewshot)
        # Else a text's BOS would be scored after another one.
        model.add_bos_token = False if task.OUTPUT_TYPE == _ROLLING else None
        result = simple_evaluate(
            model=model,
            tasks=[task],
            task_manager=manager,
            limit=request.limit,
            apply_chat_template=request.apply_chat_template and task.OUTPUT_TYPE != _ROLLING,
            bootstrap_iters=0,
        )
        figures[name] = _numbers(result["results"][name])
    return HfTable(figures=figures)


def _numbers(result: dict[str, object]) -> dict[str, float]:
    return {
        key.partition(",")[0]: float(value)
        for key, value in result.items()
        if isinstance(value, float | int) and "stderr" not in key
    }


if __name__ == "__main__":
    serve(HF, carry_out)
