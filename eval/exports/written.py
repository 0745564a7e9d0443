"""All exports of a run: a folder per tool, in it what that tool reads."""

from collections.abc import Iterator
from pathlib import Path

from eval.exports.answered import Answered, as_file_name, read_answered
from eval.exports.inspect_log import inspect_log, log_id
from eval.exports.lm_eval_results import results_file, samples_file
from eval.exports.nemo_bundle import bundle, has_rewards, result_rows
from eval.two_runs.kept_run import find_run
from quantize.jobs.whole_file import write_whole


def write_exports(run_dir: Path, folder: Path) -> int:
    """Write every variant's answers for lm-eval, Inspect and NeMo Evaluator; returns their count.

    Raises:
        KeptRunError: the directory holds no finished run.
    """
    count = 0
    for answered in read_answered(find_run(str(run_dir))):
        for path, content in _files(answered):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, content)
            count += 1
    return count


def _files(answered: Answered) -> Iterator[tuple[Path, str]]:
    variant = as_file_name(answered.variant)
    ours = Path("lm-eval") / variant
    yield ours / f"results_{answered.stamp}.json", results_file(answered)
    for task in answered.quality.tasks:
        name = as_file_name(task)
        yield ours / f"samples_{name}_{answered.stamp}.jsonl", samples_file(answered, task)
        log = f"{answered.stamp}_{name}_{log_id(answered, task)}.json"
        yield Path("inspect") / variant / log, inspect_log(answered, task)
        if has_rewards(answered, task):
            beside = Path("nemo-evaluator") / variant / name
            yield beside / f"eval-{name}.json", bundle(answered, task)
            yield beside / "results.jsonl", result_rows(answered, task)
