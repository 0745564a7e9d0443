"""Random weights in a 0.5B shape; in the ``quantize`` environment, in its own process.

The figures of a benchmark depend on a model's shape and not
on what it says; so no download is needed for a size that people serve. The tokenizer is that of
the source; the vocabulary has the size of Qwen2.5's all the same, as sampling costs by its size.
"""

import shutil
from collections.abc import Callable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import serve
from quantize.source.reading import TOKENIZER_FILES
from tests.benches.engines.random_model_job import RANDOM_MODEL, RandomModelRequest

_SEED = 20
_VOCABULARY = 151_936
# Rows of the embedding that no tokenizer entry names are this much shorter, so that greedy
# decoding says tokens that have a text.
_UNNAMED_SCALE = 0.1


def carry_out(request: RandomModelRequest, _: Callable[[Progress], None]) -> None:
    """Write the model: 0.52e9 weights with tied embeddings, in bfloat16."""
    source, target = request.source, request.target
    base = LlamaConfig.from_pretrained(source)
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=base.max_position_embeddings,
        rms_norm_eps=base.rms_norm_eps,
        tie_word_embeddings=True,
        bos_token_id=base.bos_token_id,
        eos_token_id=base.eos_token_id,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(_SEED)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    with torch.no_grad():
        model.get_input_embeddings().weight[base.vocab_size :] *= _UNNAMED_SCALE
    target.mkdir(parents=True)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    model.save_pretrained(target)


if __name__ == "__main__":
    serve(RANDOM_MODEL, carry_out)
