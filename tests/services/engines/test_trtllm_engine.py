"""TensorRT-LLM's command line and options file hold against upstream's names.

The lists are facts from upstream's sources of the 1.2 line: the options of ``trtllm-serve``
(``tensorrt_llm/commands/serve.py``), the fields of ``KvCacheConfig`` and of ``BaseLlmArgs``
(``tensorrt_llm/llmapi/llm_args.py``), the options of the two build steps.

covers: services/engines/in_trtllm/trtllm_build.py, services/engines/table.py
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from quantize.root import ROOT
from services.engine.child import EngineChild
from services.engine.engine_log import EngineLog
from services.engine.self_test import SelfTest
from services.engines.in_trtllm.trtllm_build import (
    RECORD,
    Build,
    BuildError,
    commands,
    ensure_engine,
    family_of,
)
from services.engines.table import ENGINES
from services.variants import find_variant
from tests.services.test_variants import launch


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRTLLM = ENGINES["trtllm"]
SERVE_OPTIONS = words(
    "--tokenizer --custom_tokenizer --host --port --backend --custom_module_dirs --log_level "
    "--max_beam_width --max_batch_size --max_num_tokens --max_seq_len --tensor_parallel_size "
    "--tp_size --pipeline_parallel_size --pp_size --context_parallel_size --cp_size "
    "--moe_expert_parallel_size --ep_size --gpus_per_node --free_gpu_memory_fraction "
    "--kv_cache_free_gpu_memory_fraction --num_postprocess_workers --trust_remote_code --revision "
    "--config --extra_llm_api_options --reasoning_parser --tool_parser --server_role "
    "--enable_chunked_prefill --chat_template"
)
BACKENDS = {"pytorch", "tensorrt", "_autodeploy"}
LLM_ARGS = words(
    "tokenizer dtype max_batch_size max_seq_len max_beam_width max_num_tokens kv_cache_config "
    "enable_chunked_prefill guided_decoding_backend scheduler_config return_perf_metrics "
    "num_postprocess_workers gather_generation_logits iter_stats_max_iterations"
)
KV_CACHE_FIELDS = words(
    "enable_block_reuse max_tokens max_attention_window sink_token_length "
    "free_gpu_memory_fraction host_cache_size onboard_blocks enable_partial_reuse "
    "copy_on_partial_reuse use_uvm max_gpu_total_bytes dtype tokens_per_block"
)
CONVERT_OPTIONS = words(
    "--model_dir --output_dir --dtype --tp_size --pp_size --use_weight_only "
    "--weight_only_precision --use_fp8 --use_nvfp4 --fp8_kv_cache --int8_kv_cache "
    "--use_fp8_rowwise --workers --load_model_on_cpu"
)
QWEN_LACKS = frozenset({"--use_fp8", "--use_nvfp4", "--fp8_kv_cache", "--use_fp8_rowwise"})
BUILD_OPTIONS = words(
    "--checkpoint_dir --output_dir --max_batch_size --max_input_len --max_seq_len "
    "--max_num_tokens --max_beam_width --kv_cache_type --gather_context_logits --gemm_plugin "
    "--workers --use_paged_context_fmha --use_fp8_context_fmha"
)


def given(argv: list[str]) -> set[str]:
    return {word for word in argv if word.startswith("--")}


def test_the_command_line_uses_options_that_trtllm_serve_has() -> None:
    argv = TRTLLM.argv(launch())
    assert argv[1:4] == ["-m", "tensorrt_llm.commands.serve", "serve"]
    assert given(argv) <= SERVE_OPTIONS
    assert argv[argv.index("--backend") + 1] in BACKENDS
    assert argv[argv.index("--max_seq_len") + 1] == str(launch().context_length)


@pytest.mark.parametrize("dtype", [None, "fp8"])
def test_the_options_file_has_keys_that_upstream_knows(dtype: str | None) -> None:
    files = TRTLLM.files(replace(launch(), kv_cache_dtype=dtype))
    content = files["options.yaml"]
    assert isinstance(content, str)
    options = json.loads(content)
    assert set(options) <= LLM_ARGS
    assert set(options["kv_cache_config"]) <= KV_CACHE_FIELDS
    assert options["kv_cache_config"]["max_gpu_total_bytes"] == 1 << 29
    assert options["kv_cache_config"].get("dtype") == dtype


def test_the_served_folder_carries_the_variants_name(tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "config.json").write_text("{}")
    started = replace(launch(), scratch=tmp_path / "scratch", artifact=artifact)
    spec = replace(TRTLLM, argv=lambda _launch: [sys.executable, "-c", "pass"])
    child = EngineChild(spec=spec, launch=started, log=EngineLog(tmp_path / "log"))
    child.spawn()
    assert child.process is not None
    assert child.process.wait(timeout=30) == 0
    served = Path(TRTLLM.argv(started)[4])
    assert served.name == started.served_name
    assert (served / "config.json").is_file()
    assert (tmp_path / "scratch" / "options.yaml").is_file()
    child.spawn()
    assert child.process.wait(timeout=30) == 0


def test_every_claim_has_a_probe_and_log_likelihoods_are_not_among_them() -> None:
    assert all(hasattr(SelfTest, f"_{claim}") for claim in TRTLLM.claims)
    assert not TRTLLM.claims & {"logprobs", "echo_logprobs"}


def build(tmp_path: Path, checkpoint: str = "modelopt-fp8", weights: str = "stored") -> Build:
    return Build(
        artifact=tmp_path / "artifact",
        checkpoint=checkpoint,
        weights=weights,
        max_batch_size=4,
        max_seq_len=512,
        engine=tmp_path / "engine" / "some-variant",
    )


@pytest.mark.parametrize(
    ("checkpoint", "weights", "wanted"),
    [
        ("bf16", "stored", set()),
        ("bf16", "int4", {"--use_weight_only", "--weight_only_precision"}),
        ("modelopt-fp8", "stored", {"--use_fp8"}),
        ("modelopt-fp8-kv", "stored", {"--use_fp8", "--fp8_kv_cache"}),
        ("modelopt-nvfp4", "stored", {"--use_nvfp4"}),
    ],
)
def test_the_build_steps_use_options_that_upstream_has(
    tmp_path: Path, checkpoint: str, weights: str, wanted: set[str]
) -> None:
    convert, compile_engine = commands(
        build(tmp_path, checkpoint, weights), "llama", Path("/examples"), tmp_path / "work"
    )
    assert convert[1] == "/examples/models/core/llama/convert_checkpoint.py"
    assert wanted <= given(convert) <= CONVERT_OPTIONS
    assert given(compile_engine) <= BUILD_OPTIONS
    read = compile_engine[compile_engine.index("--checkpoint_dir") + 1]
    assert convert[convert.index("--output_dir") + 1] == read


def test_a_model_that_no_converter_reads_is_refused_with_what_to_do(tmp_path: Path) -> None:
    qwen = {"architectures": ["Qwen3ForCausalLM"]}
    assert family_of(qwen, build(tmp_path, "bf16")) == "qwen"
    with pytest.raises(BuildError, match="reads no modelopt-fp8 checkpoint: serve the checkpoint"):
        family_of(qwen, build(tmp_path))
    with pytest.raises(BuildError, match="no engine can be built of Other"):
        family_of({"architectures": ["Other"]}, build(tmp_path, "bf16"))
    convert, _compile = commands(build(tmp_path, "bf16", "int8"), "qwen", Path("/e"), tmp_path)
    assert not given(convert) & QWEN_LACKS


def examples(folder: Path, script: str) -> Path:
    """A converter, and a compiler on the import path, that say what they were given."""
    converter = folder / "examples" / "models" / "core" / "llama" / "convert_checkpoint.py"
    converter.parent.mkdir(parents=True)
    converter.write_text(script)
    module = folder / "tensorrt_llm" / "commands"
    module.mkdir(parents=True)
    for package in (module.parent, module):
        (package / "__init__.py").touch()
    (module / "build.py").write_text(
        "import pathlib, sys\n"
        "out = pathlib.Path(sys.argv[sys.argv.index('--output_dir') + 1])\n"
        "out.mkdir(parents=True)\n"
        "(out / 'rank0.engine').write_text(' '.join(sys.argv[1:]))\n"
    )
    return folder / "examples"


def artifact(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (folder / "manifest.json").write_text('{"files": []}')


def test_an_engine_is_built_once_and_again_when_the_artifact_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact(tmp_path)
    folder = examples(tmp_path, "")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ensure_engine(build(tmp_path), folder)
    assert "--max_seq_len 512" in (build(tmp_path).engine / "rank0.engine").read_text()
    manifest = tmp_path / "artifact" / "manifest.json"
    manifest.write_text('{"files": [], "seconds": 2}')
    assert not ensure_engine(build(tmp_path), folder)
    manifest.write_text('{"files": [{"path": "model.safetensors"}]}')
    assert ensure_engine(build(tmp_path), folder)
    assert "built anew: artifact changed" in capsys.readouterr().out
    # What an earlier version left beside an engine: one hash.
    (build(tmp_path).engine.parent / RECORD).write_text("a" * 64)
    assert ensure_engine(build(tmp_path), folder)
    assert "built anew: it does not say what it was made from" in capsys.readouterr().out


def test_a_failed_step_leaves_nothing_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact(tmp_path)
    folder = examples(tmp_path, "import sys; sys.exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"convert_checkpoint\.py ended with exit code 3"):
        ensure_engine(build(tmp_path), folder)
    assert list((tmp_path / "engine").iterdir()) == []


def test_the_server_takes_the_place_of_the_build(tmp_path: Path) -> None:
    artifact(tmp_path)
    folder = examples(tmp_path, "")
    started = replace(
        launch(),
        python=Path(sys.executable),
        artifact=tmp_path / "artifact",
        scratch=tmp_path / "s",
    )
    variant = find_variant("fp8-trtllm-engine")
    manifest = started.manifest.model_copy(update={"recipe": "fp8"})
    argv = TRTLLM.argv(replace(started, manifest=manifest, engine_build=variant.engine_build))
    served = argv[argv.index("--") + 1 :]
    assert served[served.index("--backend") + 1] == "tensorrt"
    command = [*argv[: argv.index("--") + 1], sys.executable, "-c", "print('served')"]
    variables = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        command,
        env={**variables, "ASSAY_TRTLLM_EXAMPLES": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "served"
    assert (Path(served[4]) / "rank0.engine").is_file()
