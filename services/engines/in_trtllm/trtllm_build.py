"""Compile a TensorRT engine from an artifact, then become the server that serves it.

Runs on the Python of the ``trtllm`` environment (standard library alone):
``python -m services.engines.in_trtllm.trtllm_build --artifact … --engine … -- <the server's
command>``. The engine is kept and built again only when something it was made from has changed.

The two steps and their options are those of TensorRT-LLM 1.2 (the workflow was removed upstream
after it): ``examples/models/core/{llama,qwen}/convert_checkpoint.py`` turns a Hugging Face
checkpoint into a TensorRT-LLM one, ``tensorrt_llm/commands/build.py`` (``trtllm-build``) compiles
it. The Llama converter reads FP8 and NVFP4 checkpoints of the Model Optimizer (``--use_fp8``,
``--use_nvfp4``); Qwen's has neither option.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from quantize.machine import probe_machine
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import parts_of, what_changed

EXAMPLES_VARIABLE = "ASSAY_TRTLLM_EXAMPLES"
# Where NVIDIA's container of TensorRT-LLM keeps them.
EXAMPLES = "/app/tensorrt_llm/examples"
RECORD = "built.json"
MAX_NUM_TOKENS = 8192

_FAMILIES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "MixtralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen",
    "Qwen3ForCausalLM": "qwen",
}
_CONVERT: Mapping[str, Sequence[str]] = {
    "bf16": (),
    "modelopt-fp8": ("--use_fp8",),
    "modelopt-fp8-kv": ("--use_fp8", "--fp8_kv_cache"),
    "modelopt-nvfp4": ("--use_nvfp4",),
}
_LLAMA_ONLY = frozenset({"modelopt-fp8", "modelopt-fp8-kv", "modelopt-nvfp4"})


class BuildError(RuntimeError):
    """The engine cannot be built; the message says why and what to change."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """What is compiled: the artifact, its checkpoint format, the rounding, and the limits."""

    artifact: Path
    checkpoint: str
    weights: str
    max_batch_size: int
    max_seq_len: int
    engine: Path


def family_of(config: Mapping[str, object], build: Build) -> str:
    """The examples' folder that converts this model.

    Raises:
        BuildError: none does, or not in this format.
    """
    names = config.get("architectures")
    architecture = str(names[0]) if isinstance(names, list) and names else "none named"
    family = _FAMILIES.get(architecture)
    if family is None or build.checkpoint not in _CONVERT:
        raise BuildError(
            f"no engine can be built of {architecture} in format {build.checkpoint}: serve the "
            "checkpoint itself (drop `engine`)"
        )
    if family != "llama" and build.checkpoint in _LLAMA_ONLY:
        raise BuildError(
            f"TensorRT-LLM's converter for {architecture} reads no {build.checkpoint} checkpoint: "
            "serve the checkpoint itself (drop `engine`)"
        )
    return family


def commands(build: Build, family: str, examples: Path, work: Path) -> list[list[str]]:
    """The two command lines; ``work`` receives the converted checkpoint and the engine."""
    rounding = ["--use_weight_only", "--weight_only_precision", build.weights]
    convert = [
        sys.executable,
        str(examples / "models" / "core" / family / "convert_checkpoint.py"),
        "--model_dir",
        str(build.artifact),
        "--output_dir",
        str(work / "checkpoint"),
        "--dtype",
        "bfloat16",
        *_CONVERT[build.checkpoint],
        *(rounding if build.weights != "stored" else []),
    ]
    compile_engine = [
        sys.executable,
        "-m",
        "tensorrt_llm.commands.build",
        "--checkpoint_dir",
        str(work / "checkpoint"),
        "--output_dir",
        str(work / "engine"),
        "--max_batch_size",
        str(build.max_batch_size),
        "--max_seq_len",
        str(build.max_seq_len),
        "--max_num_tokens",
        str(MAX_NUM_TOKENS),
        "--max_beam_width",
        "1",
        "--gemm_plugin",
        "auto",
    ]
    return [convert, compile_engine]


def made_from(build: Build) -> dict[str, str]:
    """Everything an engine depends on: what is asked, the weights, the tool, the GPU, this code."""
    manifest = json.loads((build.artifact / "manifest.json").read_text())
    try:
        tool = version("tensorrt-llm")
    except PackageNotFoundError:
        tool = "not installed"
    return parts_of(
        asked={key: str(value) for key, value in asdict(build).items() if key != "engine"},
        artifact=manifest["files"],
        tool=tool,
        machine=probe_machine().name,
        code=code_sha256("services.engines.in_trtllm.trtllm_build"),
    )


def _recorded(path: Path) -> dict[str, str]:
    """What the engine that is there was built from; empty where that is not told."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def ensure_engine(build: Build, examples: Path) -> bool:
    """Build the engine unless it is there; returns whether it had to be built. Blocks for minutes.

    Raises:
        BuildError: it cannot be built, or a step failed; nothing half-built is left.
    """
    record = build.engine.parent / RECORD
    wanted, stored = made_from(build), _recorded(record)
    if build.engine.is_dir():
        if stored == wanted:
            return False
        print(f"built anew: {what_changed(stored, wanted)}", flush=True)
    config = json.loads((build.artifact / "config.json").read_text())
    family = family_of(config, build)
    if not examples.is_dir():
        raise BuildError(
            f"TensorRT-LLM's example scripts are not at {examples}: set {EXAMPLES_VARIABLE} to the "
            "folder examples/ of its sources, in the version that is installed"
        )
    work = build.engine.parent / f".{build.engine.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        for command in commands(build, family, examples, work):
            print(f"$ {' '.join(command)}", flush=True)
            code = subprocess.run(command, check=False).returncode
            if code:
                raise BuildError(f"{Path(command[1]).name} ended with exit code {code}")
        record.unlink(missing_ok=True)
        shutil.rmtree(build.engine, ignore_errors=True)
        (work / "engine").rename(build.engine)
        record.write_text(json.dumps(wanted))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def main(arguments: Sequence[str]) -> NoReturn:
    """Build what is missing, then run the command after ``--`` in this process's place."""
    parser = argparse.ArgumentParser(
        prog="python -m services.engines.in_trtllm.trtllm_build", description=__doc__
    )
    parser.add_argument("--artifact", type=Path, required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--weights", choices=("stored", "int8", "int4"), default="stored")
    parser.add_argument("--max-batch-size", type=int, required=True)
    parser.add_argument("--max-seq-len", type=int, required=True)
    parser.add_argument("--engine", type=Path, required=True)
    mark = list(arguments).index("--")
    options = parser.parse_args(arguments[:mark])
    server = list(arguments[mark + 1 :])
    try:
        examples = Path(os.environ.get(EXAMPLES_VARIABLE) or EXAMPLES)
        ensure_engine(Build(**vars(options)), examples)
    except (BuildError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    os.execv(server[0], server)


if __name__ == "__main__":
    main(sys.argv[1:])
