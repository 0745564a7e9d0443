"""Make ``agreement.json`` beside artifacts that have none of today: what engines are held to.

All of an order are scored by one process; a file is made anew when the artifact, the source, the
probe, the libraries or our scoring code is another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from quantize.agreement.agreement_file import AGREEMENT_NAME, AgreementFile, read_agreement
from quantize.agreement.probe import (
    PROBE,
    ArtifactToProbe,
    Probed,
    ProbeRequest,
    ScoringDevice,
)
from quantize.agreement.probe_length import probe_tokens
from quantize.artifact.manifest import Manifest, read_manifest, sha256_of_file
from quantize.artifact_paths import artifact_directory, model_directory
from quantize.calibration.calibration_set import BUNDLED_TEXT
from quantize.formats.layer_format import InputKind
from quantize.jobs.environment import installed_version, tool_variables
from quantize.jobs.progress import ProgressLine
from quantize.jobs.whole_file import write_whole
from quantize.jobs.worker import run_job
from quantize.machine import free_gpu_bytes, probe_machine
from quantize.model_source import prepared
from quantize.order import Order
from quantize.recipes.catalogue import UNQUANTIZED_BITS, find_recipe
from quantize.recipes.recipe import Recipe
from quantize.source.published import published_of
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of

_LIBRARIES = ("torch", "transformers")
# The decoded weights in float32, beside the source's in 16 bits, and what a pass needs.
_BYTES_PER_PARAMETER = 6.5
# What the same pass needs of a GPU beyond that: its context, and a vocabulary's matrix in float32
# several times over while it is held against the source's.
_GPU_WORKSPACE_BYTES = 12 << 30


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    recipe: Recipe
    artifact: Path
    manifest: Manifest
    made_from: dict[str, str]

    @property
    def is_there(self) -> bool:
        """Whether the file of today is."""
        file = read_agreement(self.artifact)
        return file is not None and file.inputs_sha256 == key_of(self.made_from)


def score_artifacts(order: Order, context_length: int, say: Callable[[str], None]) -> None:
    """Score the finished artifacts of an order that are not scored yet, for a served context.

    Where memory does not suffice, or the folder cannot be written, that is said and no file is
    made: engines are then held against nothing, and their state says so.

    Raises:
        ArtifactError: an artifact is not finished.
        ToolError: the environment is missing, or transformers cannot load the source.
    """
    source = prepared(order.model, order.artifacts)
    tokens = probe_tokens(source.reading.shape, context_length)
    missing = [item for item in _wanted(order, tokens) if not item.is_there]
    if not missing:
        return
    needed = int(max(item.manifest.parameter_count for item in missing) * _BYTES_PER_PARAMETER)
    free, free_on_gpu = psutil.virtual_memory().available, _free_on_gpu()
    device = scoring_device(needed, free, free_on_gpu)
    if device is None:
        also = "" if free_on_gpu is None else f" and {free_on_gpu / 1e9:.1f} GB of the GPU's"
        say(
            f"agreement        not scored: {needed / 1e9:.1f} GB of memory are needed, "
            f"{free / 1e9:.1f} GB{also} are free; engines are held against nothing"
        )
        return
    probed = _score(order, source.folder, tokens, missing, device)
    for item in missing:
        try:
            write_whole(
                item.artifact / AGREEMENT_NAME, _file(item, probed).model_dump_json() + "\n"
            )
        except OSError as error:
            say(f"{item.recipe.name:<16} cannot be held against transformers: {error}")
    count = sum(len(sequence.ids) for sequence in probed.probe.sequences)
    say(f"agreement        {len(missing)} scored by transformers on {count} tokens")


def _wanted(order: Order, tokens: int) -> list[_Wanted]:
    libraries = " ".join(f"{name} {installed_version('quantize', name)}" for name in _LIBRARIES)
    text, code = sha256_of_file(BUNDLED_TEXT), code_sha256(PROBE.module)
    found = []
    for name in order.recipe_names:
        artifact = artifact_directory(order.artifacts, order.model, name)
        manifest = read_manifest(artifact)
        made_from = parts_of(
            artifact=manifest.content_sha256,
            source=order.model.sha256,
            probe=f"{tokens} tokens of {text}",
            libraries=libraries,
            code=code,
        )
        found.append(
            _Wanted(
                recipe=find_recipe(name), artifact=artifact, manifest=manifest, made_from=made_from
            )
        )
    return found


def scoring_device(needed: int, free: int, free_on_gpu: int | None) -> ScoringDevice | None:
    """Where the probe is scored: on the GPU if it has room, else on the CPU; None: nowhere.

    All in bytes; ``free_on_gpu`` is None where there is no GPU that torch could use. Pure.
    """
    if free_on_gpu is not None and needed + _GPU_WORKSPACE_BYTES <= free_on_gpu:
        return "cuda"
    return "cpu" if needed <= free else None


def _free_on_gpu() -> int | None:
    """Of the first GPU that may be used, where our torch is built for one."""
    gpus = probe_machine().gpus
    if not gpus or gpus[0].mig or "+cpu" in installed_version("quantize", "torch"):
        return None
    return free_gpu_bytes(gpus[0].uuid)


def _score(
    order: Order, source: Path, tokens: int, missing: Sequence[_Wanted], device: ScoringDevice
) -> Probed:
    request = ProbeRequest(
        model=source.resolve(),
        text=BUNDLED_TEXT,
        tokens=tokens,
        artifacts=tuple(
            ArtifactToProbe(
                recipe=item.recipe.name,
                artifact=item.artifact.resolve(),
                bits=item.recipe.bits,
                trained="train_steps" in item.recipe.parameters,
                rounded_inputs=_rounded_inputs(item.recipe),
            )
            for item in missing
            if item.recipe.bits != UNQUANTIZED_BITS
        ),
        threads=order.threads,
        device=device,
        is_published=_is_published(order),
    )
    log = model_directory(order.artifacts, order.model) / "logs" / "agreement.log"
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"")
    with ProgressLine("agreement") as progress:
        return run_job(
            PROBE,
            request,
            log=log,
            variables=tool_variables(order.threads),
            told=lambda said: progress(said.words if said else ""),
        ).reply


def _is_published(order: Order) -> bool:
    """Whether there are no 16-bit weights that recipes know beside a published checkpoint."""
    model = published_of(order.model)
    return model is not None and model.alone


def _rounded_inputs(recipe: Recipe) -> tuple[InputKind, ...]:
    kinds = {layer.inputs for layer in recipe.format.layers}
    return tuple(sorted(kind for kind in kinds if kind != "none"))


def _file(item: _Wanted, probed: Probed) -> AgreementFile:
    return AgreementFile(
        inputs_sha256=key_of(item.made_from),
        made_from=item.made_from,
        probe=probed.probe,
        source=probed.source,
        artifact=probed.artifacts.get(item.recipe.name),
    )
