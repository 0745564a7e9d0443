"""Models and artifacts that differ from each other in one thing, and variants that serve them.

Everything that would refuse them before is left out: the artifacts are not made by recipes, and the
supervisor's check of them is switched off.
"""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from quantize.agreement.agreement_file import AGREEMENT_NAME, AgreementFile
from quantize.agreement.probe import PROBE, Probed, ProbedArtifact, ProbeRequest
from quantize.artifact.gguf_header import GGUF_NAME, read_gguf
from quantize.artifact.weight_measures import WeightMeasures
from quantize.calibration.calibration_set import BUNDLED_TEXT
from quantize.jobs.environment import python_of, tool_variables
from quantize.jobs.llama_converter import CONVERTER, GGUF_PY
from quantize.jobs.tool import run_tool
from quantize.jobs.worker import Worker
from services.engine.engine_settings import ReplicaSettings
from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.variants import Variant
from tests.services.test_variants import MANIFEST

CONTEXT = 768


def changed(source: Path, target: Path, file: str, **changes: Any) -> Path:
    """A copy of a model's folder with some keys of a JSON file set otherwise."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    path = target / file
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**content, **changes}))
    return target


@contextmanager
def transformers_scores(log: Path) -> Iterator[Callable[[Path], Probed]]:
    """Scores the probe of one source after the other, all in one process."""
    with Worker() as worker:
        yield (
            lambda source: (
                worker.ask(
                    PROBE,
                    ProbeRequest(
                        model=source,
                        text=BUNDLED_TEXT,
                        tokens=CONTEXT - 128,
                        artifacts=(),
                        threads=2,
                    ),
                    log=log,
                    variables=tool_variables(2),
                ).reply
            )
        )


def converted(source: Path, artifact: Path) -> Path:
    """A GGUF file of a folder as upstream's converter reads that."""
    artifact.mkdir()
    run_tool(
        [
            python_of("quantize"),
            CONVERTER / "convert_hf_to_gguf.py",
            source,
            *("--outtype", "bf16", "--outfile", artifact / GGUF_NAME),
        ],
        log=artifact.with_suffix(".log"),
        variables=tool_variables(2, {"PYTHONPATH": str(GGUF_PY)}),
    )
    return artifact


def with_other_weights(artifact: Path, target: Path, *names: str) -> Path:
    """A copy of a GGUF artifact whose matrices (those of the names) hold their rows one further."""
    shutil.copytree(artifact, target)
    path = target / GGUF_NAME
    content = bytearray(path.read_bytes())
    for tensor in read_gguf(path).tensors:
        if len(tensor.shape) == 2 and (not names or tensor.name in names):
            end = tensor.offset + tensor.size_bytes
            rows = np.frombuffer(bytes(content[tensor.offset : end]), np.uint8)
            moved = np.roll(rows.reshape(tensor.shape[0], -1), 1, axis=0)
            content[tensor.offset : end] = moved.tobytes()
    path.write_bytes(content)
    return target


def rounding_inputs(variant: Variant) -> Variant:
    """The same, of a format that says that inputs are rounded to 8 bits."""
    form = variant.recipe.format
    layers = tuple(replace(layer, inputs="fp8") for layer in form.layers)
    return replace(variant, recipe=replace(variant.recipe, format=replace(form, layers=layers)))


async def brought_up(
    variant: Variant,
    artifact: Path,
    measures: WeightMeasures,
    probed: Probed,
    folder: Path,
    decoded: ProbedArtifact | None = None,
) -> Mapping[str, Any]:
    """Serve an artifact held against what transformers says of a source; its state at the end.

    ``decoded`` is what it says of the artifact, where that is quantized.
    """
    promised = {"weight_bytes": measures.weight_bytes, "recipe": variant.recipe.name}
    manifest = MANIFEST.model_copy(update=promised)
    file = AgreementFile(
        inputs_sha256="",
        made_from={"artifact": manifest.content_sha256},
        probe=probed.probe,
        source=probed.source,
        artifact=decoded,
    )
    (artifact / AGREEMENT_NAME).write_text(file.model_dump_json())
    watched = Supervisor(variant, _settings(variant, artifact, folder), check=lambda _: manifest)
    async with aiohttp.ClientSession() as session:
        await watched.start(session)
        try:
            async with asyncio.timeout(300):
                while watched.status.state not in {State.READY, State.FAILED}:
                    await asyncio.sleep(0.05)
            return await watched.describe()
        finally:
            await watched.stop()


def _settings(variant: Variant, artifact: Path, folder: Path) -> ReplicaSettings:
    return ReplicaSettings(
        variant=variant.name,
        artifact=str(artifact),
        python=str(python_of(variant.engine.environment)),
        log=str(folder / "engine.log"),
        engine_version="",
        context_length=CONTEXT,
        max_sequences=4,
        queue_length=4,
        threads=2,
        kv_cache_gib=0.2,
        start_timeout_s=240,
        request_timeout_s=60,
    )
