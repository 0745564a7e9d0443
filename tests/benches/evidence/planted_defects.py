"""Six defects that people have shipped, planted into an artifact or between client and engine."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantize.artifact.gguf_header import GGUF_NAME, linear_gguf_tensors, read_gguf
from tests.benches.evidence.relay import Change, Json, same

SCALED, PENALTY = 1.05, 1.3
PREAMBLE = "Let me look at this carefully and go through it in order. "
# A block of Q8_0: a scale in half precision before 32 values of a byte (ggml/src/ggml-common.h).
_Q8_BLOCK = 34


@dataclass(frozen=True, kw_only=True)
class Names:
    """The model's tokens that a defect confuses: BOS, the plain end, and those of its chats."""

    bos: int
    end: int
    chat: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """``plant`` changes a copy of the artifact; the others what is asked and what is answered."""

    name: str
    plant: Callable[[Path], None] | None = None
    asked: Change = same
    answered: Change = same


def defects(names: Names) -> tuple[Defect, ...]:
    """All six."""
    return (
        Defect(name="one layer's scales x 1.05", plant=scale_a_layer),
        Defect(
            name="wrong BOS",
            asked=_in_prompts(lambda ids: [names.end if it == names.bos else it for it in ids]),
        ),
        Defect(
            name="wrong chat template",
            asked=_in_prompts(lambda ids: [it for it in ids if it not in names.chat]),
        ),
        Defect(
            name="a repetition penalty left on",
            asked=lambda body: {**body, "repetition_penalty": PENALTY},
        ),
        Defect(name="longer at equal accuracy", answered=_talk),
        Defect(name="a second end token ignored", plant=lambda folder: one_end(folder, names.end)),
    )


def scale_a_layer(folder: Path) -> None:
    """Multiply the scales of one linear layer in the middle of a Q8_0 file, in place.

    Raises:
        ValueError: the file has no such layer.
    """
    path = folder / GGUF_NAME
    layers = [it for it in linear_gguf_tensors(read_gguf(path).tensors) if it.kind == "Q8_0"]
    if not layers:
        raise ValueError(f"{path} has no layer in Q8_0")
    layer = layers[len(layers) // 2]
    shape = (layer.size_bytes // _Q8_BLOCK, _Q8_BLOCK)
    blocks = np.memmap(path, np.uint8, "r+", layer.offset, shape)
    scales = np.ascontiguousarray(blocks[:, :2]).view(np.float16) * np.float16(SCALED)
    blocks[:, :2] = scales.view(np.uint8)
    blocks.flush()


def one_end(folder: Path, end: int) -> None:
    """Forget all ends but one."""
    path = folder / "generation_config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "eos_token_id": end}))


def planted(defect: Defect, artifact: Path, copies: Path) -> Path:
    """The artifact with the defect in it; itself where the defect is none of the artifact's."""
    if defect.plant is None:
        return artifact
    folder = copies / defect.name.replace(" ", "-").replace("'", "")
    shutil.copytree(artifact, folder)
    defect.plant(folder)
    return folder


def _in_prompts(change: Callable[[list[int]], list[int]]) -> Change:
    """Change every prompt, which are token ids, one or several."""

    def asked(body: Json) -> Json:
        prompts = body["prompt"]
        if prompts and isinstance(prompts[0], int):
            return {**body, "prompt": change(prompts)}
        return {**body, "prompt": [change(it) for it in prompts]}

    return asked


def _talk(answer: Json) -> Json:
    """Every written answer begins with a sentence that says nothing."""
    choices = [
        {**choice, "text": PREAMBLE + choice["text"]} if _is_written(choice) else choice
        for choice in answer["choices"]
    ]
    return {**answer, "choices": choices}


def _is_written(choice: Json) -> bool:
    """Whether it is an answer; an echoed prompt comes with scores."""
    return choice.get("logprobs") is None
