"""``assay compare``, ``loadtest``, ``eval``, ``report``: from variants to a verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.command_line.options import (
    BaselineOption,
    ModelOption,
    PlanOption,
    UrlOption,
    VariantsOption,
    choose,
    from_here,
    say,
)

if TYPE_CHECKING:
    from deploy.plan_choice import PlanChoice


def compare(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
) -> None:
    """Run every stage."""
    from deploy.machine_check import check_machine, check_shared_memory, weight_only_note
    from eval.pipeline import compare as run_stages

    choice = choose(plan, model, variants, baseline)
    compared = choice.load(say)
    check_machine(compared)
    check_shared_memory(compared)
    if note := weight_only_note(compared):
        say(note)
    run_stages(compared, choice.words, say)


def loadtest(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    url: UrlOption = "",
    key: Annotated[
        str, typer.Option(help="The key of --url (ASSAY_API_KEY is not seen by others).")
    ] = "",
    tokenizer: Annotated[
        Path | None, typer.Option(help="With --url: its model's tokenizer, for exact lengths.")
    ] = None,
    api: Annotated[str, typer.Option(help="With --url: chat or completions.")] = "",
    streams: Annotated[str, typer.Option(help="With --url: so many at once.")] = "1,4,16",
    prompt_tokens: Annotated[int, typer.Option(min=1, help="With --url.")] = 128,
    output_tokens: Annotated[int, typer.Option(min=2, help="With --url.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="With --url: per load.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="With --url.")] = 2,
    timeout: Annotated[
        float, typer.Option(min=1, max=86400, help="With --url: seconds a request may take.")
    ] = 300,
    slo: Annotated[
        str | None, typer.Option(help="Exit 1 where missed: ttft=500ms,tpot=50ms, or plan.")
    ] = None,
) -> None:
    """Load every endpoint of the plan, or one that Assay did not start."""
    if url:
        from eval.endpoint_load_test import EndpointQuestion, examine_endpoint, read_api, read_load
        from loadtest.slo_check import SloMissedError, read_slo

        question = EndpointQuestion(
            url=url,
            model=model,
            key=key,
            api=read_api(api),
            tokenizer=tokenizer and Path(from_here(str(tokenizer))),
            slo=None if slo is None else read_slo(slo),
            timeout_s=timeout,
            load=read_load(
                streams,
                prompt_tokens=prompt_tokens,
                output_tokens=output_tokens,
                seconds=seconds,
                rounds=rounds,
            ),
        )
        short = examine_endpoint(question, say)
        if short:
            raise SloMissedError("; ".join(short))
        return
    _load_plan(choose(plan, model, variants, baseline), slo)


def _load_plan(choice: "PlanChoice", slo: str | None) -> None:
    from loadtest.locust_process import LoadTestError
    from loadtest.measure import run_load_test
    from loadtest.run_directory import run_directory, taken_away_if_refused
    from loadtest.slo_check import SloMissedError, missed_in, slo_of
    from quantize.jobs.lock import hold

    loaded = choice.load()
    wanted = None if slo is None else slo_of(slo, loaded.objectives.slo)
    run = run_directory(loaded)
    is_new = not run.exists()
    with hold(run, "make loadtest"), taken_away_if_refused(run, is_new=is_new):
        failures = run_load_test(loaded, say=say)
    if failures:
        raise LoadTestError(f"{', '.join(failures)} failed; the others' figures are kept")
    short = (
        [it for name in loaded.variants for it in missed_in(run / name, wanted)] if wanted else []
    )
    if short:
        raise SloMissedError("; ".join(short))


def loadtest_ui(
    plan: PlanOption = "",
    model: ModelOption = "",
    variants: VariantsOption = "",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the page listens.")] = 8089,
) -> None:
    """Open Locust's own page on what is served."""
    from loadtest.endpoint import read_health
    from loadtest.live.live_job import LiveJob, our_targets, show_page
    from loadtest.measure import plan_prompts
    from loadtest.run_directory import RESULTS_DIR, begin_series

    shown = choose(plan, model, variants).load()
    for name in shown.variants:
        read_health(shown.serving.url, name)
    folder = RESULTS_DIR / "live"
    folder.mkdir(parents=True, exist_ok=True)
    plan_prompts(shown).save(folder / "prompts.npz")
    job = LiveJob(
        targets=our_targets(shown.serving.url, shown.variants),
        load=shown.load,
        prompts=folder / "prompts.npz",
        series=begin_series(RESULTS_DIR, shown.serving.url),
        request_timeout_s=shown.serving.request_timeout_s,
    )
    if code := show_page(job, folder, port, say):
        raise SystemExit(code)


def loads(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Result files of vllm bench serve, AIPerf, GuideLLM."),
    ] = None,
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    llmd: Annotated[
        Path | None, typer.Option(help="Write llm-d's Benchmark Reports of ours into this folder.")
    ] = None,
) -> None:
    """Put our loads and others' into one table."""
    from loadtest.other_tools.side_by_side import show_loads
    from loadtest.run_directory import run_directory

    shown = choose(plan, model, variants, baseline).load()
    say(show_loads(run_directory(shown), shown, [Path(from_here(str(it))) for it in files or ()]))
    if llmd is not None:
        from loadtest.other_tools.to_llmd import write_llmd

        paths = write_llmd(
            run_directory(shown), shown.variants, Path(from_here(str(llmd))), model=shown.model
        )
        say(f"{len(paths)} Benchmark Reports for llm-d: {llmd}")


def slo_search(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    trials: Annotated[int, typer.Option(min=1, help="At most so many trials per variant.")] = 60,
) -> None:
    """Search the highest rate that meets the SLO."""
    from loadtest.locust_process import LoadTestError
    from loadtest.measure import plan_prompts
    from loadtest.rate_search import search
    from loadtest.run_directory import run_directory
    from quantize.jobs.lock import hold

    searched = choose(plan, model, variants, baseline).load()
    with hold(run_directory(searched), "make slo-search"):
        found = search(searched, plan_prompts(searched), say=say, most_trials=trials)
    if missing := [name for name in searched.variants if name not in found]:
        raise LoadTestError(f"{', '.join(missing)} failed; the others' trials are kept")


def calibrate() -> None:
    """Load a server that computes nothing."""
    from loadtest.client_cost import calibrate as tell
    from loadtest.prompts import plain_prompts

    tell(plain_prompts(), say)


def evaluate(
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
) -> None:
    """Question every endpoint of the plan."""
    from eval.divergence.divergence_stage import run_divergence
    from eval.lm_eval_process import QualityError
    from eval.quality import run_quality
    from loadtest.run_directory import open_run, run_directory
    from quantize.jobs.lock import hold

    asked = choose(plan, model, variants, baseline).load()
    with hold(run_directory(asked), "make eval"):
        answered = run_quality(asked, open_run(asked), tell=say)
        run_divergence(asked, open_run(asked), tell=say)
    if missing := [name for name in asked.variants if name not in answered]:
        raise QualityError(f"{', '.join(missing)} failed; the others' answers are kept")


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two runs to compare, the earlier first: folders, or names in results/."
        ),
    ] = None,
    plan: PlanOption = "",
    model: ModelOption = "",
    baseline: BaselineOption = "",
    variants: VariantsOption = "",
    output: Annotated[
        Path | None, typer.Option(help="With two runs: where JSON, Markdown and CSV go.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=1, help="With two runs: the difference of speed not charged."),
    ] = 0.05,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="With two runs: print the Markdown.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the answers for lm-eval, Inspect and NeMo Evaluator there."),
    ] = None,
) -> None:
    """Judge what was measured, or compare two runs."""
    if runs:
        _two_runs(runs, output, tolerance, markdown=markdown)
        return
    from eval.pipeline import make_report
    from loadtest.run_directory import open_run, run_directory
    from quantize.jobs.lock import hold

    judged = choose(plan, model, variants, baseline).load()
    with hold(run_directory(judged), "make report"):
        text, path = make_report(judged, open_run(judged))
    say(f"{text}\nreport: {path}")
    if export is not None:
        from eval.exports.written import write_exports

        folder = Path(from_here(str(export)))
        say(f"{write_exports(path.parent, folder)} files for other tools: {folder}")


def _two_runs(runs: list[str], output: Path | None, tolerance: float, *, markdown: bool) -> None:
    from eval.two_runs.change_words import as_markdown, as_text
    from eval.two_runs.written import VoidError, WorseError, write_change

    if len(runs) != 2:
        raise ValueError("name two runs, the earlier first: assay report before/ after/")
    before, after = (from_here(run) for run in runs)
    told, folder = write_change(before, after, folder=output, tolerance=tolerance)
    say(as_markdown(told) if markdown else f"{as_text(told)}\nfiles: {folder}")
    if told.outcome == "worse":
        raise WorseError(told.sentence)
    if told.outcome == "void":
        raise VoidError(told.sentence)
