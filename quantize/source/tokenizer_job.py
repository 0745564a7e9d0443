"""What is asked of a source model's tokenizer before any work; known on both sides of its process.

It runs in the control environment, where the load test and the questions tokenize: a tokenizer
that cannot be read there would be found out after minutes of quantizing and serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantize.jobs.job_module import JobModule, Progress


@dataclass(frozen=True, kw_only=True)
class TokenizerRequest:
    """Load the tokenizer in ``folder``, write ``tokenizer.json`` there where it is missing.

    ``bos``, ``end`` and ``pad`` are the model's ids, for a tokenizer that names none. ``probe`` is
    a text whose ids are asked for.
    """

    folder: Path
    bos: int | None
    end: int | None
    pad: int | None
    probe: str


@dataclass(frozen=True, kw_only=True)
class TokenizerFound:
    """A tokenizer as transformers reads it.

    ``top_id`` is the highest id it can give; ``specials`` are the texts of ``bos_token``,
    ``eos_token`` … as they are to stand in ``tokenizer_config.json``; ``templates`` are the chat
    templates by name, each with what is wrong with it (empty: nothing); ``refused`` is why the
    default one refuses a short chat; ``probe_sha256`` the hash of the probe's ids as a Python list.
    ``end`` is the id that the tokenizer itself calls the end; ``as_stored`` says whether
    transformers reads text as ``tokenizer.json`` has it, and not by a class of its own, ``begins``
    whether it puts ``bos_token`` before a text, ``by_bytes`` whether it spells text in bytes before
    it looks for tokens (byte-level BPE), ``spaced`` whether it puts a space before a word.
    """

    top_id: int
    size: int
    specials: Mapping[str, str]
    end: int | None
    templates: Mapping[str, str]
    refused: str
    probe_sha256: str
    converted: bool
    as_stored: bool
    begins: bool
    spaced: bool
    by_bytes: bool


TOKENIZER = JobModule(
    module="quantize.source.in_control.read_tokenizer",
    environment="control",
    request=TokenizerRequest,
    tells=(Progress,),
    reply=TokenizerFound,
)
