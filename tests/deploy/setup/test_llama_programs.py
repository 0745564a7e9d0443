"""llama.cpp's own programs, upon the library that was compiled already."""

from pathlib import Path

from deploy.setup.llama_programs import LISTS, ggml_parts


def test_whatever_parts_of_ggml_were_compiled_are_linked(tmp_path: Path) -> None:
    for name in ("ggml", "ggml-base", "ggml-cpu", "ggml-cuda", "llama"):
        (tmp_path / f"lib{name}.so").touch()
        (tmp_path / f"lib{name}.so.0").touch()
    assert ggml_parts(tmp_path) == ["ggml", "ggml-base", "ggml-cpu", "ggml-cuda"]


def test_nothing_is_fetched_while_the_programs_are_compiled() -> None:
    """Upstream's own lists would ask Hugging Face for the pages, and Git for a TLS library."""
    text = LISTS.read_text()
    for setting in ("LLAMA_USE_PREBUILT_UI OFF", "LLAMA_OPENSSL OFF"):
        assert f"set({setting})" in text
