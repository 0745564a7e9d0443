"""The one folder of a source model that recipes and tools get, never the one that its user named.

Weights are links, configuration and tokenizer are written as ``reading.py`` found them, so that no
tool comes upon a second model, a key that only it obeys, or a tokenizer that another cannot load.
``source.json`` is written last and tells what was found.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.artifact.safetensors_header import INDEX_NAME
from quantize.jobs.environment import tool_variables
from quantize.jobs.failure import RefusedError
from quantize.jobs.workbench import locked, making
from quantize.jobs.worker import run_job
from quantize.source.reading import SourceReading, read_source
from quantize.source.source_config import generation_config
from quantize.source.source_error import SourceModelError, read_json
from quantize.source.source_model import SourceModel
from quantize.source.tokenizer_job import TOKENIZER, TokenizerFound, TokenizerRequest
from quantize.source.weight_set import index_of
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import parts_of

RECORD_NAME = "source.json"
Reader = Callable[[Path], SourceReading]


class SourceRecord(BaseModel):
    """The content of ``source.json``.

    ``ends`` are all ids that end an answer, on every engine. ``sampling`` is what the model's
    ``generation_config.json`` wishes of requests that say nothing: no variant obeys it.
    ``templates`` are the chat templates by name, each with what is wrong with it (empty: nothing),
    ``chat_refused`` is why the default one refuses the shortest chat. ``tokenizer_sha256`` is the
    hash by which llama.cpp's converter knows a pre-tokenizer, ``by_bytes`` says whether
    transformers spells text in bytes, ``spaced`` whether it puts a space before a text. ``notes``
    are for the user.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    made_from: dict[str, str]
    ends: tuple[int, ...]
    sampling: dict[str, Any]
    templates: dict[str, str]
    chat_refused: str
    tokenizer_sha256: str
    by_bytes: bool
    spaced: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PreparedSource:
    """A model's normalised folder, what was read of it, and what its record tells.

    ``anew`` says whether it was made just now: what there is to say of it is said once.
    """

    folder: Path
    reading: SourceReading
    record: SourceRecord
    anew: bool


def prepare_source(
    model: SourceModel, directory: Path, probe: str, read: Reader = read_source
) -> PreparedSource:
    """The normalised folder at ``directory``, made where it is not there or not of today.

    ``probe`` is the text by whose ids llama.cpp's converter knows a pre-tokenizer, ``read`` how the
    folder is read. Blocks while another process makes the same.

    Raises:
        SourceModelError: the model is refused; nothing is left.
        ToolError: the control environment is missing.
        OSError: the folder cannot be written.
    """
    reading = read(model.original)
    made_from = _made_from(model, probe)
    record, anew = _finished(directory, reading, made_from), False
    if record is None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with locked(directory, lambda: None):
            record = _finished(directory, reading, made_from)
            if record is None:
                anew = True
                with making(directory) as bench:
                    record = _make(reading, bench.output, bench.scratch, probe, made_from)
    return PreparedSource(folder=directory, reading=reading, record=record, anew=anew)


@contextmanager
def examined_source(
    model: SourceModel, directory: Path, probe: str, read: Reader = read_source
) -> Iterator[PreparedSource]:
    """The same for who must leave nothing behind: made in a temporary folder where it is missing.

    Raises:
        SourceModelError, ToolError, OSError: as ``prepare_source``.
    """
    reading = read(model.original)
    made_from = _made_from(model, probe)
    record = _finished(directory, reading, made_from)
    if record is not None:
        yield PreparedSource(folder=directory, reading=reading, record=record, anew=False)
        return
    with tempfile.TemporaryDirectory(prefix="assay-source-") as temporary:
        output, scratch = Path(temporary) / "output", Path(temporary) / "scratch"
        output.mkdir()
        scratch.mkdir()
        record = _make(reading, output, scratch, probe, made_from)
        yield PreparedSource(folder=output, reading=reading, record=record, anew=True)


def _made_from(model: SourceModel, probe: str) -> dict[str, str]:
    return parts_of(model=model.sha256, probe=[probe], code=code_sha256(__name__))


def _finished(
    directory: Path, reading: SourceReading, made_from: Mapping[str, str]
) -> SourceRecord | None:
    """The record of a folder made from the same, whose links still lead to the same files."""
    try:
        record = SourceRecord.model_validate_json((directory / RECORD_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    linked = all(
        (directory / path.name).resolve() == path.resolve() for path in reading.weights.files
    )
    return record if linked and record.made_from == made_from else None


def _make(
    reading: SourceReading, output: Path, scratch: Path, probe: str, made_from: dict[str, str]
) -> SourceRecord:
    for path in reading.weights.files:
        (output / path.name).symlink_to(path.resolve())
    if len(reading.weights.files) > 1:
        (output / INDEX_NAME).write_text(index_of(reading.weights.files))
    _write_json(output / "config.json", reading.config.content)
    for name in reading.tokenizer_files:
        shutil.copyfile(reading.folder / name, output / name)
    found = _load_tokenizer(reading, output, scratch / "tokenizer.log", probe)
    _check_tokenizer(reading, found)
    _write_tokenizer_config(reading, output, found)
    ends = tuple(dict.fromkeys([*reading.config.ends, *([] if found.end is None else [found.end])]))
    _write_json(output / "generation_config.json", generation_config(reading.config, ends))
    record = SourceRecord(
        made_from=made_from,
        ends=ends,
        sampling=dict(reading.config.sampling),
        templates=dict(found.templates),
        chat_refused=found.refused,
        tokenizer_sha256=found.probe_sha256,
        by_bytes=found.by_bytes,
        spaced=found.spaced,
        notes=(*reading.notes, *_notes(reading, found)),
    )
    (output / RECORD_NAME).write_text(record.model_dump_json(indent=2) + "\n")
    return record


def _load_tokenizer(reading: SourceReading, output: Path, log: Path, probe: str) -> TokenizerFound:
    config = reading.config
    request = TokenizerRequest(
        folder=output.resolve(),
        bos=config.bos,
        end=config.ends[0] if config.ends else None,
        pad=config.pad,
        probe=probe,
    )
    try:
        return run_job(TOKENIZER, request, log=log, variables=tool_variables(1)).reply
    except RefusedError as error:
        raise SourceModelError(
            f"{reading.folder}: transformers cannot load the tokenizer ({error.words}); give the "
            "tokenizer files that belong to the model, a tokenizer.json among them"
        ) from None


def _check_tokenizer(reading: SourceReading, found: TokenizerFound) -> None:
    rows = reading.shape.vocabulary
    if found.top_id >= rows:
        raise SourceModelError(
            f"{reading.folder}: the tokenizer gives token ids up to {found.top_id}, but the "
            f"vocabulary of config.json has {rows} (vocab_size); give the tokenizer that belongs "
            "to the weights"
        )
    if not {"bos_token", "eos_token"} & set(found.specials):
        raise SourceModelError(
            f"{reading.folder}: nothing says how a text begins or ends; name bos_token or "
            "eos_token in tokenizer_config.json"
        )


def _write_tokenizer_config(reading: SourceReading, output: Path, found: TokenizerFound) -> None:
    """With what begins and ends a text by name, and one chat template where there were two.

    Whether ``bos_token`` is put before every text is said where it was not: transformers and
    llama.cpp each assume their own.
    """
    stored = read_json(output / "tokenizer_config.json")
    # llama.cpp's converter would take it from tokenizer.model, which may say otherwise.
    content: dict[str, Any] = {"add_prefix_space": found.spaced} if stored is None else stored
    for key, text in found.specials.items():
        if _text_of(content.get(key)) != text:
            content[key] = text
    content.setdefault("add_bos_token", found.begins)
    if "chat_template.jinja" in reading.tokenizer_files:
        # As transformers has it: the file counts.
        content.pop("chat_template", None)
    _write_json(output / "tokenizer_config.json", content)


def _text_of(token: object) -> object:
    return token.get("content") if isinstance(token, dict) else token


def _notes(reading: SourceReading, found: TokenizerFound) -> Iterator[str]:
    if not found.as_stored:
        yield (
            f"transformers reads text for {reading.shape.architecture} by rules of its own, other "
            "than tokenizer.json says; a GGUF file that follows tokenizer.json is refused"
        )
    # Not to sample is what every engine does where nothing asks for it.
    sampling = {key: value for key, value in reading.config.sampling.items() if key != "do_sample"}
    if sampling:
        wishes = ", ".join(f"{key} {value}" for key, value in sampling.items())
        yield f"generation_config.json wishes {wishes}: left to requests, the same on every engine"
    if found.converted:
        yield "tokenizer.json was made by transformers from the model's older tokenizer files"
    for name, wrong in found.templates.items():
        if wrong:
            yield f"the chat template {name!r} cannot be used ({wrong}): no chats, completions work"
    if found.templates and "default" not in found.templates:
        yield f"no default chat template (there is {', '.join(found.templates)}): no plain chats"
    if found.refused:
        yield f"the chat template refuses a short chat ({found.refused})"


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
