"""Scores the same texts with every served variant, the baseline twice; kept in the run.

``<variant>/divergence.npz`` holds what was said of each token, ``divergence.json`` beside it is
written last and says of what. A variant that cannot score is left out, and told.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from deploy.artifacts import source_folder
from deploy.client_key import client_headers
from deploy.plan import Plan
from eval.divergence.asked_texts import AskedText, asked_texts
from eval.divergence.asking import DivergenceError, Target, score_texts
from eval.divergence.scored_tokens import ScoredTokens, load_scored
from eval.turns import Pass, pass_label, quality_passes
from loadtest.endpoint import EndpointError, ReadyHealth, read_health
from loadtest.prompts import PromptError
from quantize.jobs.whole_file import write_whole
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of

Tell = Callable[[str], None]

NEEDED = frozenset({"echo_logprobs", "token_ids"})


class DivergenceFile(BaseModel):
    """``divergence.json``: of what the scores beside it are, and the stratum of every text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    variant: str
    inputs_sha256: str
    texts_sha256: str
    artifact_sha256: str
    engine_version: str
    strata: tuple[str, ...]
    seconds: float


def divergence_paths(run_dir: Path, variant: str, repeat: bool) -> tuple[Path, Path]:
    """Where a pass keeps what it is of, and its scores."""
    stem = "divergence-repeat" if repeat else "divergence"
    folder = run_dir / variant
    return folder / f"{stem}.json", folder / f"{stem}.npz"


def read_divergence(
    run_dir: Path, variant: str, *, repeat: bool = False
) -> tuple[DivergenceFile, ScoredTokens] | None:
    """A finished pass; None where there is none that can be read."""
    path, scores = divergence_paths(run_dir, variant, repeat)
    try:
        return DivergenceFile.model_validate_json(path.read_bytes()), load_scored(scores)
    except (OSError, ValidationError, ValueError, KeyError):
        return None


def run_divergence(
    plan: Plan,
    run_dir: Path,
    *,
    url: str | None = None,
    passes: Sequence[Pass] | None = None,
    tell: Tell = print,
) -> None:
    """Score the texts with every variant that is ready; a pass of the same inputs is kept.

    Blocks for seconds to minutes. ``passes`` are those to make, where not all.
    """
    if not plan.quality.divergence:
        return
    try:
        texts = asked_texts(plan, source_folder(plan))
    except PromptError as error:
        tell(f"divergence: left out, {error}")
        return
    address = url or plan.serving.url
    for name, repeat in passes or quality_passes(plan.variants, plan.baseline):
        label = pass_label((name, repeat))
        try:
            _make_pass(plan, run_dir, address, name, repeat, texts, tell)
        except (DivergenceError, EndpointError) as error:
            divergence_paths(run_dir, name, repeat)[0].unlink(missing_ok=True)
            tell(f"{label}: divergence: left out, {error}")


def _make_pass(
    plan: Plan,
    run_dir: Path,
    url: str,
    name: str,
    repeat: bool,
    texts: Sequence[AskedText],
    tell: Tell,
) -> None:
    health = read_health(url, name)
    if missing := NEEDED.difference(health.capabilities):
        raise DivergenceError(f"the endpoint has not {', '.join(sorted(missing))}")
    target = _target(plan, url, name)
    inputs = _made_from(target, health, texts)
    path, scores = divergence_paths(run_dir, name, repeat)
    stored = read_divergence(run_dir, name, repeat=repeat)
    label = pass_label((name, repeat))
    if stored is not None and stored[0].inputs_sha256 == key_of(inputs):
        tell(f"{label}: divergence is up to date")
        return
    started = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    found = score_texts(target, texts)
    found.save(scores)
    made = DivergenceFile(
        variant=name,
        inputs_sha256=key_of(inputs),
        texts_sha256=inputs["texts"],
        artifact_sha256=health.artifact_sha256,
        engine_version=health.engine_version,
        strata=tuple(text.stratum for text in texts),
        seconds=time.monotonic() - started,
    )
    write_whole(path, made.model_dump_json(indent=1))
    tell(f"{label}: {len(found.chosen):,} tokens scored in {made.seconds:.0f} s")


def _target(plan: Plan, url: str, name: str) -> Target:
    return Target(
        variant=name,
        url=f"{url}/{name}/v1/completions",
        headers=client_headers(),
        concurrency=plan.quality.concurrency,
        timeout_s=plan.serving.request_timeout_s,
    )


def _made_from(
    target: Target, health: ReadyHealth, texts: Sequence[AskedText]
) -> Mapping[str, str]:
    return parts_of(
        texts=[(text.stratum, text.ids, text.answered) for text in texts],
        concurrency=target.concurrency,
        artifact=health.artifact_sha256,
        engine=health.engine_version,
        code=code_sha256("eval.divergence.asking"),
    )
