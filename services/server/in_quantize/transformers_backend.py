"""The transformers backend: an artifact's decoded weights, and every sequence in one forward pass.

The tokens of all running sequences stand side by side in one row, so that linear layers see one
matrix; only attention looks at each sequence and its cache apart. Nothing is padded. Neighbours
change no more than the last bits of a sum; where a format rounds inputs, that can round one of them
to its other neighbour, as in any engine of that format.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import AttentionInterface

from quantize.artifact.end_tokens import named_end_tokens
from quantize.artifact.stored_tensor import WeightFileError
from quantize.emulation.in_quantize.emulation import load_emulated
from quantize.formats.announced_schemes import CheckpointError
from services.server.backend import (
    BATCH_TOKENS,
    BackendError,
    Batch,
    Capacity,
    Constraint,
    LoadedWeights,
    rows_of_logits,
)
from services.server.in_quantize.hf_tokenizer import HfTokenizer
from services.server.in_quantize.slot_attention import SlotCache, runs_of, slot_attention
from services.server.sampling import Logits

_ATTENTION = "assay_slots"


class TransformersBackend:
    """A model with decoded weights and a float32 key-value cache per sequence."""

    def __init__(
        self,
        model: Path,
        *,
        context_length: int,
        max_sequences: int,
        threads: int,
        kv_cache_dtype: str | None = None,
    ) -> None:
        """Decode the weights; blocks for the whole load. Runs on a GPU where torch sees one.

        Raises:
            BackendError: the artifact is not understood.
            ValueError: the context is longer than the model's, or a KV-cache dtype is asked for.
        """
        if kv_cache_dtype is not None:
            raise ValueError(
                "KV-cache dtype: not to be chosen for the transformers backend: keys and values "
                "are rounded as the artifact says"
            )
        torch.set_num_threads(threads)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        AttentionInterface.register(_ATTENTION, slot_attention)
        try:
            loaded = load_emulated(model, attention=_ATTENTION, device=self._device)
            self._tokenizer = HfTokenizer(model, loaded.model.config.vocab_size)
        except (CheckpointError, WeightFileError) as error:
            raise BackendError(str(error)) from error
        self._model, self._loaded = loaded.model, loaded
        config = self._model.config
        if context_length > config.max_position_embeddings:
            raise ValueError(
                f"context length: {context_length} is more than the model's "
                f"{config.max_position_embeddings} positions"
            )
        self._cache = SlotCache(
            config, max_sequences, context_length, self._device, loaded.cache_roundings
        )
        self.capacity = self._measure(model, context_length, max_sequences)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of ``text``."""
        return self._tokenizer.encode(text, add_special=add_special, parse_special=parse_special)

    def piece(self, token: int, *, special: bool) -> bytes:
        """A token's bytes."""
        return self._tokenizer.piece(token, special=special)

    def constrain(self, schema: str) -> Constraint:
        """Nothing holds an answer to a schema here."""
        raise ValueError("answers of transformers cannot be held to a schema")

    def decode(self, batch: Batch) -> Logits:
        """One forward pass over all tokens of the batch."""
        if not len(batch):
            return np.empty((0, self.capacity.vocab_size), np.float32)
        try:
            with torch.inference_mode():
                return self._forward(batch)
        except RuntimeError as error:
            raise BackendError(f"the forward pass of {len(batch)} tokens failed: {error}") from None

    def trim(self, sequence: int, length: int) -> None:
        """Nothing to do: what lies beyond the position that is decoded next is never looked at."""

    def weights(self) -> LoadedWeights:
        """The stored tensors that were decoded; in memory they are four bytes per weight."""
        return LoadedWeights(
            weight_bytes=self._loaded.read_bytes,
            description=f"{type(self._model).__name__}, emulated in float32",
            tensor_types=dict(self._loaded.read_kinds),
        )

    def close(self) -> None:
        """Memory is freed with the process."""

    def _forward(self, batch: Batch) -> Logits:
        wanted = torch.tensor(batch.wants_logits, device=self._device)
        states = self._model.model(
            input_ids=torch.tensor([batch.tokens], device=self._device),
            position_ids=torch.tensor([batch.positions], device=self._device),
            use_cache=False,
            runs=runs_of(batch.sequences, batch.positions),
            cache=self._cache,
        ).last_hidden_state[0, wanted]
        return np.asarray(self._model.lm_head(states).float().cpu().numpy())

    def _measure(self, model: Path, context_length: int, max_sequences: int) -> Capacity:
        vocab_size = int(self._model.config.vocab_size)
        return Capacity(
            vocab_size=vocab_size,
            context_length=context_length,
            max_sequences=max_sequences,
            batch_tokens=max(BATCH_TOKENS, max_sequences),
            logits_rows=rows_of_logits(vocab_size, max_sequences),
            end_tokens=self._end_tokens(model, vocab_size),
            strips_first_space=self._tokenizer.adds_space,
            conversation=self._tokenizer.conversation,
        )

    def _end_tokens(self, model: Path, vocab_size: int) -> frozenset[int]:
        """Every token that the model's files or its tokenizer name."""
        named = {*named_end_tokens(model), self._tokenizer.eos_token_id}
        return frozenset(token for token in named if token is not None and token < vocab_size)
