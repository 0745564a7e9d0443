"""The servers that are compared, each as a launch spec: ours, upstream's, llama-cpp-python's two.

All load the same compiled llama.cpp (the ``peers`` environment lies upon ours) and one file.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deploy.setup.llama_programs import PROGRAMS
from deploy.setup.sdist import EXAMPLE_SERVER, main_file
from quantize.root import VENVS
from services.engines.spec import Launch
from services.variants import Variant

PEERS = "peers"
OURS, UPSTREAM, MODULE, EXAMPLE = "ours", PROGRAMS[0], "llama_cpp.server", "examples/server"
PEER_TITLES = (UPSTREAM, MODULE, EXAMPLE)
_BATCH_TOKENS = 512
_LAUNCHER = Path(__file__).parent / "in_peers" / "example_server.py"


def contenders(variant: Variant) -> tuple[Variant, ...]:
    """The variant on our engine first, then on its peers, which cannot tell their weights."""
    ours = replace(variant.engine, title=OURS)
    single = replace(
        ours,
        title=MODULE,
        environment=PEERS,
        argv=_module_argv,
        env=_no_variables,
        health_path="/v1/models",
        weights_request=None,
    )
    batched = replace(
        ours,
        title=EXAMPLE,
        environment=PEERS,
        argv=_example_argv,
        env=_no_variables,
        health_path="/healthz",
        weights_request=None,
        files=_example_files,
    )
    upstream = replace(
        ours,
        title=UPSTREAM,
        environment=PEERS,
        argv=_upstream_argv,
        env=_no_variables,
        health_path="/health",
        weights_request=None,
    )
    engines = (ours, upstream, single, batched)
    return tuple(replace(variant, engine=engine) for engine in engines)


def gguf_of(launch: Launch) -> Path:
    """The artifact's one GGUF file."""
    (path,) = launch.artifact.glob("*.gguf")
    return path.resolve()


def _no_variables(_launch: Launch) -> dict[str, str]:
    return {}


def _upstream_argv(launch: Launch) -> list[str]:
    """``llama-server`` with its own defaults for all that a request or the machine does not decide.

    Its pages for browsers were not compiled. Its own choice of threads would be the same; it is
    told as the others are.
    """
    options = {
        "model": gguf_of(launch),
        "alias": launch.served_name,
        "host": "127.0.0.1",
        "port": launch.port,
        "api-key": launch.api_key,
        "ctx-size": launch.context_length * launch.max_sequences,
        "parallel": launch.max_sequences,
        "threads": launch.threads,
        "threads-batch": launch.threads,
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    return [str(launch.python.with_name(PROGRAMS[0])), *words]


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
