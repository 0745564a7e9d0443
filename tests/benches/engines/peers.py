"""The servers that are compared, each as a launch spec: ours, and llama-cpp-python's two.

All three load the same compiled llama.cpp (the ``peers`` environment lies upon ours) and one file.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy.setup.sdist import EXAMPLE_SERVER, main_file
from quantize.root import VENVS
from services.engines.spec import Launch
from services.variants import Variant

PEERS = "peers"
_BATCH_TOKENS = 512
_LAUNCHER = Path(__file__).parent / "in_peers" / "example_server.py"


def contenders(variant: Variant) -> tuple[Variant, ...]:
    """The variant on our engine first, then on its peers, which cannot tell their weights."""
    ours = replace(variant.engine, title="ours")
    single = replace(
        ours,
        title="llama_cpp.server",
        environment=PEERS,
        argv=_module_argv,
        env=_no_variables,
        health_path="/v1/models",
        weights_request=None,
    )
    batched = replace(
        ours,
        title="examples/server",
        environment=PEERS,
        argv=_example_argv,
        env=_no_variables,
        health_path="/healthz",
        weights_request=None,
        files=_example_files,
    )
    return tuple(replace(variant, engine=engine) for engine in (ours, single, batched))


def gguf_of(launch: Launch) -> Path:
    """The artifact's one GGUF file."""
    (path,) = launch.artifact.glob("*.gguf")
    return path.resolve()


def _no_variables(_launch: Launch) -> dict[str, str]:
    return {}


def _module_argv(launch: Launch) -> list[str]:
    """``llama_cpp.server``; by its default a new request would cut off the stream under way."""
    options = {
        "model": gguf_of(launch),
        "model_alias": launch.served_name,
        "host": "127.0.0.1",
        "port": launch.port,
        "api_key": launch.api_key,
        "n_ctx": launch.context_length,
        "n_batch": _BATCH_TOKENS,
        "n_threads": launch.threads,
        "n_threads_batch": launch.threads,
        "interrupt_requests": False,
        "verbose": False,
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return [str(launch.python), "-m", "llama_cpp.server", *words]


def _example_argv(launch: Launch) -> list[str]:
    """The example server out of the pinned source distribution."""
    server = main_file(VENVS / PEERS, EXAMPLE_SERVER)
    config = launch.scratch / "config.json"
    return [str(launch.python), str(_LAUNCHER), str(server), "-C", str(config)]


def _example_files(launch: Launch) -> Mapping[str, str | Path]:
    """Its configuration, by its README; it keeps one cache for all sequences."""
    model = {
        "path": str(gguf_of(launch)),
        "alias": launch.served_name,
        "n_ctx": launch.context_length * launch.max_sequences,
        "n_seq_max": launch.max_sequences,
        "n_batch": _BATCH_TOKENS,
        "n_ubatch": _BATCH_TOKENS,
        "threads": launch.threads,
        "threads_batch": launch.threads,
        "store_logits": False,
    }
    server = {"host": "127.0.0.1", "port": launch.port}
    return {"config.json": json.dumps({"server": server, "model": model})}
