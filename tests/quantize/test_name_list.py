from quantize.name_list import names_of


def test_blanks_and_empty_names_do_not_count() -> None:
    assert names_of(" bf16, gguf-q8_0 ,,fp8,") == ["bf16", "gguf-q8_0", "fp8"]
    assert names_of(" , ") == []
