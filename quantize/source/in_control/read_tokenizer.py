"""Read a source model's tokenizer with transformers; in the ``control`` environment (no torch)."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import _compile_jinja_template

from quantize.jobs.job_module import Progress
from quantize.jobs.job_server import BadRequest, serve
from quantize.source.tokenizer_job import TOKENIZER, TokenizerFound, TokenizerRequest

# No text begins with a space: there transformers takes one away for many a good model.
_TEXTS = ("The river ran.", "two  spaces,\n\nlines 12 345", "Straße, Привет, 你好 😀", "if (x) { }")
_CHAT = [{"role": "user", "content": "Hello"}]


def carry_out(request: TokenizerRequest, _: Callable[[Progress], None]) -> TokenizerFound:
    """What a tokenizer is, with a ``tokenizer.json`` in its folder afterwards.

    Raises:
        BadRequest: it cannot be loaded, or not be written as ``tokenizer.json``.
    """
    path = request.folder / "tokenizer.json"
    converted = not path.is_file()
    try:
        tokenizer = AutoTokenizer.from_pretrained(request.folder, trust_remote_code=False)
        if converted:
            tokenizer.backend_tokenizer.save(str(path))
        plain = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - whatever a library raises: the file is at fault
        words = str(error).strip().splitlines() or [""]
        raise BadRequest(f"{type(error).__name__}: {words[0]}") from None
    ids = plain.get_vocab(with_added_tokens=True).values()
    templates = _templates(tokenizer.chat_template)
    wrong = {name: _compile(text) for name, text in templates.items()}
    usable = wrong.get("default") == ""
    return TokenizerFound(
        top_id=max(ids, default=-1),
        size=len(ids),
        specials=_specials(tokenizer, plain, request),
        end=tokenizer.eos_token_id,
        templates=wrong,
        refused=_render(tokenizer) if usable else "",
        probe_sha256=hashlib.sha256(str(tokenizer.encode(request.probe)).encode()).hexdigest(),
        converted=converted,
        as_stored=all(tokenizer(text)["input_ids"] == plain.encode(text).ids for text in _TEXTS),
        begins=tokenizer(_TEXTS[0])["input_ids"][:1] == [tokenizer.bos_token_id],
        spaced=str(tokenizer.tokenize("a")[:1]).startswith("['▁"),
        by_bytes="ByteLevel" in str(tokenizer.backend_tokenizer.pre_tokenizer),
    )


def _templates(found: object) -> Mapping[str, str]:
    if isinstance(found, str):
        return {"default": found}
    return found if isinstance(found, Mapping) else {}


def _compile(template: str) -> str:
    try:
        _compile_jinja_template(template)
    except Exception as error:  # noqa: BLE001 - a template is anybody's program
        return f"{type(error).__name__}: {error}"
    return ""


def _render(tokenizer: Any) -> str:
    """Why the template refuses the shortest chat there is; empty where it does not."""
    try:
        tokenizer.apply_chat_template(_CHAT, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # noqa: BLE001 - a template is anybody's program
        return f"{type(error).__name__}: {error}"
    return ""


def _specials(tokenizer: Any, plain: Tokenizer, request: TokenizerRequest) -> dict[str, str]:
    """What begins, ends and pads a text: the tokenizer's own words, else those of the model's ids.

    What the tokenizer names but has no id for is no such word.
    """
    found = {}
    for key, token in (("bos", request.bos), ("eos", request.end), ("pad", request.pad)):
        text = getattr(tokenizer, f"{key}_token", None)
        if text is None or plain.token_to_id(text) is None:
            text = None if token is None else plain.id_to_token(token)
        if text is not None:
            found[f"{key}_token"] = str(text)
    return found


if __name__ == "__main__":
    serve(TOKENIZER, carry_out)
