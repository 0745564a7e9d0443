"""An engine that computes nothing: what is measured behind it beyond its schedule was added.

``python -m tests.benches.serving.null_variant PORT NAME``. It is no engine of the product (not in
``ENGINES``): the benchmark hands its spec to the replica that runs every other engine.
"""

import asyncio
import json
import sys
from typing import Any

from quantize.recipes.catalogue import find_recipe
from services.engines.spec import EngineSpec, HeldWeights, Launch
from services.engines.support import on
from services.variants import Variant
from tests.benches.harness.null_server import TPOT_S, NullServer

NAME = "null"
# At once: any wait before the first token would hide what is added to it.
TTFT_S = 0.0


def _argv(launch: Launch) -> list[str]:
    module = "tests.benches.serving.null_variant"
    return [str(launch.python), "-m", module, str(launch.port), launch.served_name]


def _no_weights(body: bytes) -> HeldWeights:
    raise ValueError(f"the null engine holds none: {body[:80]!r}")


NULL_VARIANT = Variant(
    name=NAME,
    recipe=find_recipe("bf16"),
    engine=EngineSpec(
        name=NAME,
        title="the null engine",
        environment="control",
        distributions=(),
        checkpoints={"bf16": on("cpu")},
        argv=_argv,
        env=lambda _launch: {},
        health_path="/health",
        weights_request=None,
        parse_weights=_no_weights,
        expected_weight_bytes=lambda _manifest: (0, 0),
        claims=frozenset(),
        takes_key=False,
    ),
)


class NullEngine(NullServer):
    """The null server, with the two routes that prove an engine ready."""

    def __init__(self, name: str) -> None:
        super().__init__(ttft_s=TTFT_S, tpot_s=TPOT_S)
        self._models = json.dumps({"data": [{"id": name}]}).encode()

    async def respond(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        """Answer a question for health or models, or stream on schedule."""
        if body.get("stream"):
            return await super().respond(path, body, writer)
        answer = self._models if path == "/v1/models" else b"{}"
        kind = b"Content-Type: application/json"
        head = b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: %d\r\n\r\n" % (kind, len(answer))
        writer.write(head + answer)
        return await writer.drain()


async def _serve(port: int, name: str) -> None:
    async with await asyncio.start_server(NullEngine(name).handle, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
