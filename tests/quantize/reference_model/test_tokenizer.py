"""SentencePiece, Hugging Face and llama.cpp read the same text as the same token ids.

covers: quantize/by_llamacpp/in_llamacpp/gguf_tokenize.py,
quantize/by_llamacpp/in_quantize/hf_tokenize.py, quantize/jobs/llama_converter.py,
quantize/reference_model/vocabulary.py
"""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from quantize.by_llamacpp.llamacpp_jobs import (
    GGUF_TOKENIZE,
    HF_TOKENIZE,
    GgufTextsRequest,
    ReadText,
    TextsRequest,
)
from quantize.jobs.environment import environment_python, tool_variables
from quantize.jobs.llama_converter import CONVERTER
from quantize.jobs.worker import run_job
from quantize.reference_model.build import CALIBRATION, WEIGHTS
from quantize.reference_model.vocabulary import CONTROL_TOKENS, VOCABULARY

HARD = (
    " ",
    "  two  spaces ",
    "\n\nx\t y\r\n",
    "12345 3.14 -7 1,000",
    "Grüße, 你好 🙂! e\u0301 \u00a0 \u200d",
    "<|user|>\nHi<|end|>\n<|assistant|>\n",
    " <|user|> x<|system|>",
    "def f(x): return {x} <|not a token|>",
    "The \N{LOWER ONE EIGHTH BLOCK} character",
)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    lines = CALIBRATION.read_text(encoding="utf-8").splitlines()
    return [*HARD, *(json.loads(line)["text"] for line in lines)]


@pytest.fixture(scope="module")
def raw() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(WEIGHTS / "tokenizer.model"))


@pytest.fixture(scope="module")
def fast() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(WEIGHTS)


def test_hugging_face_ids_are_the_sentencepiece_ids_with_bos_in_front(
    texts: list[str], raw: sentencepiece.SentencePieceProcessor, fast: PreTrainedTokenizerBase
) -> None:
    for text in texts:
        assert fast(text)["input_ids"] == [1, *raw.encode(text)]
        assert fast(text, add_special_tokens=False)["input_ids"] == raw.encode(text)


def test_decoding_gives_the_text_back(texts: list[str], fast: PreTrainedTokenizerBase) -> None:
    for text in texts:
        # The block character is SentencePiece's own sign for a space.
        ids = fast(text, add_special_tokens=False)["input_ids"]
        assert fast.decode(ids) == text.replace("\N{LOWER ONE EIGHTH BLOCK}", " ")


def test_digits_are_separate_tokens(raw: sentencepiece.SentencePieceProcessor) -> None:
    assert raw.encode("1234567890", out_type=str) == list("1234567890")


def test_the_vocabulary_is_complete_and_starts_with_the_control_tokens(
    raw: sentencepiece.SentencePieceProcessor, fast: PreTrainedTokenizerBase
) -> None:
    assert raw.get_piece_size() == len(fast) == VOCABULARY
    assert [raw.id_to_piece(index) for index in range(8)] == list(CONTROL_TOKENS)
    assert (fast.bos_token_id, fast.eos_token_id, fast.pad_token_id) == (1, 2, 3)


def test_the_chat_template_makes_the_format_of_the_training_conversations(
    fast: PreTrainedTokenizerBase,
) -> None:
    messages = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    text = fast.apply_chat_template(messages, tokenize=False)
    assert text == "<s><|user|>\nWho?<|end|>\n<|assistant|>\nMe.<|end|>\n"
    text = fast.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert text == "<s><|user|>\nWho?<|end|>\n<|assistant|>\n"


@pytest.mark.engine
@pytest.mark.parametrize("environment", ["quantize", "vllm"])
def test_the_transformers_of_other_environments_agree(
    environment: str, texts: list[str], raw: sentencepiece.SentencePieceProcessor, tmp_path: Path
) -> None:
    request = TextsRequest(model=WEIGHTS, texts=tuple(texts))
    job = replace(HF_TOKENIZE, environment=environment)
    done = run_job(job, request, log=tmp_path / "log", variables=tool_variables(1))
    read = {item.text: item.ids for item in done.reply.items}
    for text in texts:
        assert read[text] in (raw.encode(text), [1, *raw.encode(text)])


@pytest.mark.engine
def test_llama_cpp_agrees_and_adds_bos(
    texts: list[str], raw: sentencepiece.SentencePieceProcessor, tmp_path: Path
) -> None:
    converter = CONVERTER / "convert_hf_to_gguf.py"
    gguf = tmp_path / "vocabulary.gguf"
    subprocess.run(
        [environment_python("quantize"), converter, WEIGHTS, "--vocab-only", "--outfile", gguf],
        check=True,
        capture_output=True,
    )
    asked = [(text, special) for text in texts for special in (True, False)]
    items = [ReadText(text=text, special=special, ids=[]) for text, special in asked]
    request = GgufTextsRequest(model=gguf, items=items)
    log = tmp_path / "log"
    done = run_job(GGUF_TOKENIZE, request, log=log, variables=tool_variables(1))
    for (text, special), ids in zip(asked, done.reply.ids, strict=True):
        assert ids == [1] * special + raw.encode(text)
