"""Which engines serve a model of an architecture that no recipe knows: each is asked itself.

Importing an engine takes many seconds, so its answer is kept, and it is asked of no architecture
that recipes know.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantize.jobs.environment import installed_version, tool_variables
from quantize.jobs.failure import ToolError
from quantize.jobs.whole_file import write_whole
from quantize.jobs.worker import run_job
from quantize.processors import usable_cpus
from quantize.root import VENVS
from quantize.source.model_shape import SHAPES
from quantize.source.source_config import architecture_of
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of
from services.engines.model_question import ModelQuestion
from services.engines.spec import EngineSpec
from services.engines.table import ENGINES

FOLDER = VENVS / "cache" / "models"


def why_unknown(engine: EngineSpec, config: Mapping[str, Any], folder: Path = FOLDER) -> str | None:
    """Why an engine does not serve models of this configuration; None where it does.

    None too where it cannot be asked: it is not installed, or has no answer before it starts.

    Raises:
        ToolError: it failed over the question.
        OSError: its answer cannot be kept.
    """
    if engine.model_check is None or architecture_of(config) in SHAPES:
        return None
    version = _version(engine)
    if version is None:
        return None
    said = _answer(engine, version, json.dumps(config, sort_keys=True), folder)
    return f"{engine.title} does not serve {architecture_of(config)} ({said})" if said else None


def why_unserved(form: str, config: Mapping[str, Any]) -> str | None:
    """Why none of the engines that load a format serves models of this configuration.

    None where one does, or nobody can be asked.

    Raises:
        ToolError, OSError: as ``why_unknown``.
    """
    if architecture_of(config) in SHAPES:
        return None
    loading = [engine for engine in ENGINES.values() if form in engine.checkpoints]
    installed = [engine for engine in loading if _version(engine) is not None]
    reasons = [why_unknown(engine, config) for engine in installed]
    told = [reason for reason in reasons if reason is not None]
    return "; ".join(told) if told and len(told) == len(reasons) else None


def _version(engine: EngineSpec) -> str | None:
    for distribution in engine.distributions:
        try:
            return installed_version(engine.environment, distribution)
        except ToolError:
            continue
    return None


def _answer(engine: EngineSpec, version: str, config: str, folder: Path) -> str:
    job = engine.model_check
    assert job is not None, engine.name
    code = code_sha256(job.module)
    key = key_of(parts_of(engine=engine.name, version=version, code=code, config=config))
    path = folder / f"{key}.json"
    if path.is_file():
        return str(json.loads(path.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    # vLLM remembers there what it found out of its own classes.
    variables = tool_variables(usable_cpus(), {"VLLM_CACHE_ROOT": str(folder / "vllm")})
    done = run_job(job, ModelQuestion(config), log=folder / "last.log", variables=variables)
    write_whole(path, json.dumps(done.reply.refusal))
    return done.reply.refusal
