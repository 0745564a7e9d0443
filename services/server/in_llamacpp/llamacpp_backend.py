"""The llama.cpp backend: several sequences per ``llama_decode`` through the C API."""

import ctypes
import sys
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from quantize.artifact.conversation import DEFAULT, Conversation, read_conversation
from quantize.artifact.end_tokens import named_end_tokens
from quantize.artifact.gguf_header import read_gguf
from services.server.backend import (
    BATCH_TOKENS,
    BackendError,
    Batch,
    Capacity,
    LoadedWeights,
    rows_of_logits,
)
from services.server.in_llamacpp.llamacpp_cache import (
    check_cache_type,
    metadata,
    sequences_within,
    set_cache_type,
)
from services.server.in_llamacpp.llamacpp_grammar import Grammar
from services.server.sampling import Logits
from services.server.whole_characters import WholeCharacters

_ERROR_LEVEL = 4


def find_gguf(model: Path) -> Path:
    """The GGUF file itself, or the only one in an artifact's directory.

    Raises:
        ValueError: there is none, or more than one.
    """
    if model.is_file():
        return model
    found = sorted(model.glob("*.gguf"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(f"{model}: expected one .gguf file, found {names}")
    return found[0]


class LlamaCppBackend:
    """A model and one context with a key-value cache per sequence."""

    def __init__(
        self,
        model: Path,
        *,
        context_length: int,
        max_sequences: int,
        threads: int,
        kv_cache_dtype: str = "f16",
        kv_cache_gib: float | None = None,
    ) -> None:
        """Load the model; blocks for the whole load.

        Raises:
            BackendError: llama.cpp refused the file or the context, or the cache holds nothing.
            ValueError: ``model`` names no single GGUF file, or the KV-cache dtype is unknown.
        """
        check_cache_type(kv_cache_dtype)
        _log_errors_only()
        path = find_gguf(model)
        self._path, self._file = path, read_gguf(path)
        self._tensor_types = Counter(tensor.kind for tensor in self._file.tensors)
        self._model = _load_model(path)
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        vocab_size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        max_sequences = sequences_within(
            self._model, context_length, max_sequences, kv_cache_dtype, kv_cache_gib
        )
        rows = rows_of_logits(vocab_size, max_sequences)
        parameters = _context_parameters(context_length, max_sequences, threads, rows)
        set_cache_type(parameters, kv_cache_dtype)
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise BackendError(f"llama.cpp could not make a context for {path}")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._pieces: dict[tuple[int, bool], bytes] = {}
        self._arrays = _BatchArrays(parameters.n_batch)
        self._logits_at, self._views = 0, dict[int, Logits]()
        self.capacity = self._measure(vocab_size, context_length, max_sequences, rows)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of ``text``."""
        raw = text.encode(errors="replace")
        size = len(raw) + 2
        ids = (llama_cpp.llama_token * size)()
        count = llama_cpp.llama_tokenize(
            self._vocab, raw, len(raw), ids, size, add_special, parse_special
        )
        if count < 0:
            # Normalisation can make more tokens than bytes; llama.cpp says how many.
            size = -count
            ids = (llama_cpp.llama_token * size)()
            count = llama_cpp.llama_tokenize(
                self._vocab, raw, len(raw), ids, size, add_special, parse_special
            )
        return list(ids[:count])

    def piece(self, token: int, *, special: bool) -> bytes:
        """A token's bytes, remembered: the same few thousand come again and again."""
        key = (token, special)
        if (known := self._pieces.get(key)) is None:
            known = self._pieces[key] = self._piece(token, special)
        return known

    def constrain(self, schema: str) -> Grammar:
        """A grammar of a JSON schema."""
        return Grammar(self._vocab, schema, self._characters)

    @cached_property
    def _characters(self) -> WholeCharacters:
        """Of every token's bytes, so made when the first grammar is asked for."""
        vocabulary = range(self.capacity.vocab_size)
        return WholeCharacters([self._piece(token, special=False) for token in vocabulary])

    def decode(self, batch: Batch) -> Logits:
        """One ``llama_decode``; the interpreter lock is free while it runs."""
        status = llama_cpp.llama_decode(self._context, self._arrays.fill(batch))
        if status != 0:
            raise BackendError(f"llama_decode returned {status} for {len(batch)} tokens")
        if not batch.rows:
            return np.empty((0, self.capacity.vocab_size), np.float32)
        return self._logits(batch.rows)

    def trim(self, sequence: int, length: int) -> None:
        """Forget a sequence's cells from ``length`` on."""
        if not llama_cpp.llama_memory_seq_rm(self._memory, sequence, length, -1):
            # Recurrent memories cannot forget a part; nothing of it may then be reused.
            raise BackendError(f"sequence {sequence} cannot be cut to {length} tokens")

    def weights(self) -> LoadedWeights:
        """llama.cpp's own figures, and the tensor types of the file it mapped."""
        text = ctypes.create_string_buffer(256)
        llama_cpp.llama_model_desc(self._model, text, len(text))
        return LoadedWeights(
            weight_bytes=int(llama_cpp.llama_model_size(self._model)),
            description=text.value.decode(),
            tensor_types=dict(self._tensor_types),
        )

    def close(self) -> None:
        """Free the context, then the model."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _logits(self, rows: int) -> Logits:
        """The rows of the latest decode, as a view, kept while llama.cpp keeps its buffer."""
        pointer = llama_cpp.llama_get_logits(self._context)
        address = ctypes.addressof(pointer.contents)
        if address != self._logits_at:
            self._logits_at, self._views = address, {}
        if (view := self._views.get(rows)) is None:
            view = np.ctypeslib.as_array(pointer, (rows, self.capacity.vocab_size))
            self._views[rows] = view
        return view

    def _measure(
        self, vocab_size: int, context_length: int, max_sequences: int, rows: int
    ) -> Capacity:
        adds_space = metadata(self._model, "tokenizer.ggml.add_space_prefix") != "false"
        return Capacity(
            vocab_size=vocab_size,
            context_length=context_length,
            max_sequences=max_sequences,
            batch_tokens=BATCH_TOKENS,
            logits_rows=rows,
            end_tokens=self._end_tokens(vocab_size),
            strips_first_space=adds_space
            and metadata(self._model, "tokenizer.ggml.model") == "llama",
            conversation=self._conversation(),
        )

    def _end_tokens(self, vocab_size: int) -> frozenset[int]:
        """Those of the model, by the files beside it; llama.cpp's guess by their names without."""
        if ends := named_end_tokens(self._path.parent):
            return frozenset(token for token in ends if token < vocab_size)
        is_end = llama_cpp.llama_vocab_is_eog
        return frozenset(token for token in range(vocab_size) if is_end(self._vocab, token))

    def _conversation(self) -> Conversation:
        """What lies beside the file, or as much of it as the file holds itself."""
        beside = read_conversation(self._path.parent)
        if beside is not None:
            return beside
        template = self._file.metadata.get("tokenizer.chat_template")
        specials = {
            "bos_token": llama_cpp.llama_vocab_bos(self._vocab),
            "eos_token": llama_cpp.llama_vocab_eos(self._vocab),
        }
        return Conversation(
            templates={DEFAULT: template} if isinstance(template, str) else {},
            special_tokens={
                name: self.piece(token, special=True).decode(errors="replace")
                for name, token in specials.items()
                if token >= 0
            },
        )

    def _piece(self, token: int, special: bool) -> bytes:
        size = 64
        while True:
            text = ctypes.create_string_buffer(size)
            count = llama_cpp.llama_token_to_piece(self._vocab, token, text, size, 0, special)
            if count >= 0:
                return text.raw[:count]
            size = -count


class _BatchArrays:
    """A ``llama_batch`` upon arrays that stay, so that filling it is a few slice copies."""

    def __init__(self, size: int) -> None:
        self._tokens = (llama_cpp.llama_token * size)()
        self._positions = (llama_cpp.llama_pos * size)()
        self._sequences = (llama_cpp.llama_seq_id * size)()
        self._wants: Any = (ctypes.c_int8 * size)()
        self._ones = (ctypes.c_int32 * size)(*[1] * size)
        # llama.cpp wants a list of sequences per token: each points at one entry of ours.
        entry, first = ctypes.sizeof(llama_cpp.llama_seq_id), ctypes.addressof(self._sequences)
        self._lists = (ctypes.c_void_p * size)(*range(first, first + entry * size, entry))
        self._batch = llama_cpp.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._ones),
            ("seq_id", self._lists),
            ("logits", self._wants),
        ):
            kind = dict(llama_cpp.llama_batch._fields_)[name]
            setattr(self._batch, name, ctypes.cast(array, kind))

    def fill(self, batch: Batch) -> Any:
        count = len(batch)
        self._tokens[:count] = batch.tokens
        self._positions[:count] = batch.positions
        self._sequences[:count] = batch.sequences
        self._wants[:count] = batch.wants_logits
        self._batch.n_tokens = count
        return self._batch


def _load_model(path: Path) -> Any:
    parameters = llama_cpp.llama_model_default_params()
    parameters.n_gpu_layers = -1
    # llama.cpp's AMX kernels fault on some machines (ggml-org/llama.cpp#20824, seen with Q4_K on
    # Sapphire Rapids). They cannot be refused alone, only with all weight repacking.
    parameters.use_extra_bufts = b"AMX_INT8 = 1" not in llama_cpp.llama_print_system_info()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
    if not model:
        raise BackendError(f"llama.cpp could not load {path}")
    return model


def _context_parameters(context_length: int, max_sequences: int, threads: int, rows: int) -> Any:
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = context_length * max_sequences
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    parameters.n_seq_max = max_sequences
    parameters.n_outputs_max = rows
    parameters.n_threads = parameters.n_threads_batch = threads
    # A buffer per sequence: in a shared one every token looks at the cells of all sequences.
    parameters.kv_unified = False
    parameters.no_perf = True
    return parameters


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _log_error(level: int, text: bytes, _: Any) -> None:
    if level == _ERROR_LEVEL:
        sys.stderr.write(text.decode(errors="replace"))


def _log_errors_only() -> None:
    llama_cpp.llama_log_set(_log_error, None)
