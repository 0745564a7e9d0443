"""Make a model's folder of a GGUF file with transformers; in the ``quantize`` environment.

transformers takes the vocabulary from the file, but neither which tokens begin and end a text, and
whether one is put before it, nor, for byte-level tokenizers, how it is split before merging: all
stand in the file's metadata.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gguf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from quantize.artifact.gguf_header import read_gguf
from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from quantize.source.gguf_source import GGUF_FOLDER, GgufFolderRequest
from quantize.source.in_quantize.byte_level import begin_texts, spell_in_bytes

# The first release that transformers takes; the one beside the converter does not say its own.
_LEAST_VERSION = "0.10.0"
_SPECIALS = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def carry_out(request: GgufFolderRequest, _: Callable[[Progress], None]) -> None:
    """Write weights, configuration and tokenizer.

    Raises:
        BadRequest: transformers does not know this kind of file.
    """
    if not hasattr(gguf, "__version__"):
        gguf.__version__ = _LEAST_VERSION
    where = {"pretrained_model_name_or_path": str(request.file.parent)}
    where["gguf_file"] = request.file.name
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise BadRequest(f"{type(error).__name__}: {error}") from None
    metadata = read_gguf(request.file).metadata
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    for key, name in _SPECIALS.items():
        number = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if isinstance(number, int) and number < len(tokens):
            setattr(tokenizer, f"{key}_token", str(tokens[number]))
    spell_in_bytes(tokenizer.backend_tokenizer, str(metadata.get("tokenizer.ggml.pre", "")))
    begin_texts(tokenizer.backend_tokenizer, tokenizer.bos_token, metadata)
    _name_ends(model, metadata)
    model.save_pretrained(request.folder)
    tokenizer.save_pretrained(request.folder)


def _name_ends(model: Any, metadata: Mapping[str, object]) -> None:
    """The file's own beginning, end and padding; transformers keeps some defaults of the class."""
    for key, name in _SPECIALS.items():
        number = metadata.get(f"tokenizer.ggml.{name}_token_id")
        for config in (model.config, model.generation_config):
            if isinstance(number, int) and key != "unk":
                setattr(config, f"{key}_token_id", number)


if __name__ == "__main__":
    serve(GGUF_FOLDER, carry_out)
