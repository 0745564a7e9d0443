"""Make the artifacts of one model: whatever is missing or made from something else than today."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from quantize.adoption import describe_anew
from quantize.artifact.manifest import (
    MANIFEST_NAME,
    FileEntry,
    Manifest,
    read_manifest,
    sha256_of_files,
    verify_files,
)
from quantize.artifact_check import check_measures, measure_weights
from quantize.artifact_paths import model_directory
from quantize.fitness import context_limit
from quantize.jobs.progress import ProgressLine
from quantize.jobs.workbench import locked, making
from quantize.jobs.worker import Worker
from quantize.method import Job, Outcome
from quantize.methods import METHODS
from quantize.model_source import prepared
from quantize.order import (
    Item,
    Order,
    check_order,
    missing_items,
    outdated_by,
    plan_items,
    reusable,
)
from quantize.sizing.estimate import check_room, estimate
from quantize.source.normalised_folder import PreparedSource


def make_artifacts(order: Order, say: Callable[[str], None]) -> list[Path]:
    """Make or reuse every recipe's artifact (and those they read); returns their directories.

    ``say`` receives one line per artifact. Blocks while another process makes one of them.

    Raises:
        ValueError: the model, the calibration text or a recipe's name is at fault.
        ToolError, RecipeError: a tool failed.
        OSError: a directory cannot be written, or the disk is full; nothing unfinished is left.
    """
    items = plan_items(order)
    source = prepared(order.model, order.artifacts)
    for note in source.record.notes if source.anew else ():
        say(f"{'the model':<16} {note}")
    missing = missing_items(items)
    if missing:
        check_order(order, missing, source)
        check_room(estimate(order, missing, source), order.artifacts)
    with Worker() as worker:
        for item in items:
            manifest = reusable(item)
            if manifest is None or _wants_proof(order, item):
                _make_locked(order, item, source, worker, say)
            else:
                say(_line(item, manifest, "reused"))
                if not _is_of_today(item, manifest):
                    _adopt(item, say)
    return [item.directory for item in items]


def _wants_proof(order: Order, item: Item) -> bool:
    proof = _proof(order, item)
    return proof is not None and not proof.exists()


def _proof(order: Order, item: Item) -> Path | None:
    return None if order.proofs is None else order.proofs / f"{item.recipe.name}.safetensors"


def _waiting(item: Item, say: Callable[[str], None]) -> Callable[[], None]:
    return lambda: say(f"{item.recipe.name:<16} waiting: another process is making it")


def _make_locked(
    order: Order, item: Item, source: PreparedSource, worker: Worker, say: Callable[[str], None]
) -> None:
    name = item.recipe.name
    with locked(item.directory, _waiting(item, say)) as lock_fd:
        manifest = reusable(item)
        if manifest is not None and not _wants_proof(order, item):
            say(_line(item, manifest, "reused"))
            _describe_as_today(item, manifest)
            return
        outdated = outdated_by(item) if manifest is None else None
        logs = model_directory(order.artifacts, order.model) / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{name}.log"
        log.write_bytes(b"")
        worker.release(keep=METHODS[item.recipe.method].worker_module)
        with making(item.directory) as bench, ProgressLine(name) as progress:
            job = Job(
                model=order.model,
                folder=source.folder,
                recipe=item.recipe,
                source=item.source,
                calibration=order.calibration,
                threads=order.threads,
                output=bench.output.resolve(),
                scratch=bench.scratch.resolve(),
                log=log,
                lock_fd=lock_fd,
                worker=worker,
                proof=_proof(order, item),
                progress=progress,
            )
            manifest = _make(order, item, source, job)
    line = _line(item, manifest, f"made in {manifest.seconds:.1f} s")
    say(f"{line}  (made anew: {outdated})" if outdated else line)


def _is_of_today(item: Item, manifest: Manifest) -> bool:
    return manifest.inputs_sha256 == item.inputs_sha256


def _adopt(item: Item, say: Callable[[str], None]) -> None:
    """Describe an earlier version's artifact anew; in a folder not to be written it stays as is.

    It is valid either way. Another process that uses it at the same time does the same.
    """
    with suppress(OSError), locked(item.directory, _waiting(item, say)):
        manifest = reusable(item)
        if manifest is not None:
            _describe_as_today(item, manifest)


def _describe_as_today(item: Item, manifest: Manifest) -> None:
    """To be called with the artifact's lock held."""
    if not _is_of_today(item, manifest):
        describe_anew(item.directory, manifest, item.made_from, item.inputs_sha256)


def _make(order: Order, item: Item, source: PreparedSource, job: Job) -> Manifest:
    started = time.monotonic()
    if item.source is not None:
        # Sizes were looked at when it was reused; what is built upon is read to the last byte.
        verify_files(item.source, read_manifest(item.source))
    outcome = METHODS[item.recipe.method].make(job)
    job.progress("hashing")
    manifest = _describe(order, item, source, job.output, outcome, time.monotonic() - started)
    (job.output / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _describe(
    order: Order,
    item: Item,
    source: PreparedSource,
    output: Path,
    outcome: Outcome,
    seconds: float,
) -> Manifest:
    """Measure what was made, hold it against the recipe, and write it down."""
    measures = measure_weights(output, item.recipe)
    check_measures(output, item.recipe, measures)
    files = sorted(path for path in output.rglob("*") if path.is_file())
    return Manifest(
        model=order.model.name,
        model_sha256=order.model.sha256,
        recipe=item.recipe.name,
        parameters=dict(item.recipe.parameters),
        weight_format=item.recipe.weight_format,
        tool=item.tool,
        tool_version=item.tool_version,
        calibration_sha256=outcome.calibration_sha256,
        inputs_sha256=item.inputs_sha256,
        made_from=dict(item.made_from),
        parameter_count=measures.parameter_count,
        quantized_parameters=measures.linear_parameters,
        weight_bytes=measures.weight_bytes,
        quantized_weight_bytes=measures.linear_bytes,
        bits_per_weight=round(measures.bits_per_weight, 4),
        tensor_types=dict(measures.tensor_types),
        fallbacks=dict(outcome.fallbacks),
        tokenizer=outcome.tokenizer,
        context_limit=context_limit(item.recipe, source.reading.shape),
        sampling_defaults=source.record.sampling,
        notes=(*source.record.notes, *outcome.notes),
        seconds=round(seconds, 3),
        peak_memory_bytes=outcome.peak_memory_bytes,
        files=tuple(
            FileEntry(
                path=str(path.relative_to(output)),
                size_bytes=path.stat().st_size,
                sha256=digest,
            )
            for path, digest in zip(files, sha256_of_files(files), strict=True)
        ),
    )


def _line(item: Item, manifest: Manifest, what: str) -> str:
    size_mb = manifest.size_bytes / 1e6
    return (
        f"{item.recipe.name:<16} {what:<16} {size_mb:9.1f} MB  "
        f"{manifest.bits_per_weight:5.2f} bits per weight  {item.directory}"
    )
