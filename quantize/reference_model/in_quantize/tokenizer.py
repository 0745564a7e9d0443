"""The tokenizer: a SentencePiece BPE with byte fallback, written in every form that engines read.

    python -m quantize.reference_model.in_quantize.tokenizer   # before training

No dummy prefix and no normalization: text is encoded exactly as it is, so SentencePiece, Hugging
Face tokenizers and llama.cpp agree also after a control token and at the start of a continuation.
"""

import json
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as spm_proto
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from quantize.reference_model.build import WEIGHTS
from quantize.reference_model.corpus import documents
from quantize.reference_model.vocabulary import (
    BOS,
    CHAT_TOKENS,
    CONTROL_TOKENS,
    EOS,
    PAD,
    UNKNOWN,
    VOCABULARY,
)
from quantize.reference_model.world import build_world

DOCUMENTS = 30_000
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
MAX_LENGTH = 2048

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def train_sentencepiece(texts: Iterable[str], path: Path) -> None:
    """Train on `texts` (newlines inside a text are kept) and write `tokenizer.model`."""
    spm.SentencePieceTrainer.train(
        # The trainer reads lines; the newline itself is a byte token.
        sentence_iterator=(line for text in texts for line in text.split("\n") if line),
        model_prefix=str(path.with_suffix("")),
        model_type="bpe",
        vocab_size=VOCABULARY,
        byte_fallback=True,
        split_digits=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        user_defined_symbols=list(CHAT_TOKENS),
        num_threads=1,
        minloglevel=2,
    )
    path.with_suffix(".vocab").unlink()


def write_tokenizer(model_path: Path, folder: Path) -> None:
    """Write `tokenizer.model`, `tokenizer.json` and `tokenizer_config.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    if model_path.parent != folder:
        shutil.copyfile(model_path, folder / "tokenizer.model")
    _fast_tokenizer(model_path).save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": False,
        "legacy": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_LENGTH,
        "bos_token": BOS,
        "eos_token": EOS,
        "unk_token": UNKNOWN,
        "pad_token": PAD,
        "additional_special_tokens": list(CHAT_TOKENS),
        "added_tokens_decoder": {
            str(index): {
                "content": token,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": True,
            }
            for index, token in enumerate(CONTROL_TOKENS)
        },
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def _fast_tokenizer(model_path: Path) -> Tokenizer:
    """The same BPE for the `tokenizers` library."""
    proto = spm_proto.ModelProto()
    proto.ParseFromString(model_path.read_bytes())
    vocabulary = {piece.piece: index for index, piece in enumerate(proto.pieces)}
    scores = {piece.piece: piece.score for piece in proto.pieces if piece.type == piece.NORMAL}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(vocabulary, scores),
            unk_token=UNKNOWN,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, vocabulary[BOS])]
    )
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS]
    )
    return tokenizer


def _merges(vocabulary: dict[str, int], scores: dict[str, float]) -> list[tuple[str, str]]:
    """Every split of a piece into two pieces, best score first.

    SentencePiece merges the neighbours whose union has the best score, whichever way the union was
    first made; listing every split ranked by the score of the union is the same rule.
    """
    found = []
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in scores and right in scores:
                found.append((-score, vocabulary[left], vocabulary[right], left, right))
    return [(left, right) for *_, left, right in sorted(found)]


def build_tokenizer() -> None:
    """Train on a stream of documents of its own and write the files beside the weights."""
    WEIGHTS.mkdir(exist_ok=True)
    texts = islice(documents(build_world(), "tokenizer"), DOCUMENTS)
    train_sentencepiece(texts, WEIGHTS / "tokenizer.model")
    write_tokenizer(WEIGHTS / "tokenizer.model", WEIGHTS)
    print(f"tokenizer written to {WEIGHTS}")


if __name__ == "__main__":
    build_tokenizer()
