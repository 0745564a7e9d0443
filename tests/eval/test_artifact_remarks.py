"""What an artifact brings along that its name does not say is told in one line each."""

from eval.artifact_remarks import artifact_remarks
from quantize.artifact.manifest import TokenizerDifferences
from tests.eval.run_on_disk import manifest


def test_what_is_as_it_says_needs_no_remark() -> None:
    same = TokenizerDifferences(texts=613, different=0, examples=())
    assert artifact_remarks(manifest("bf16")) == []
    assert artifact_remarks(manifest("gguf-q8_0").model_copy(update={"tokenizer": same})) == []


def test_every_difference_is_told_with_its_figures() -> None:
    changes = {
        "tokenizer": TokenizerDifferences(texts=613, different=1, examples=("a\u0000",)),
        "fallbacks": {"blk.0.attn_q.weight": "Q5_0", "blk.0.attn_k.weight": "Q5_0"},
        "context_limit": 4096,
    }
    tokens, widths, window = artifact_remarks(manifest("gguf-q8_0").model_copy(update=changes))
    assert "reads 1 of 613 texts (0.2%) otherwise" in tokens
    assert tokens.endswith(r"such as 'a\x00'")
    assert widths.endswith("2 as Q5_0")
    assert window.startswith("beyond 4096 tokens")
