"""Two variants that compute: ``python -m tests.benches.detect.working_server --slower 0.05``.

Every token costs a fixed amount of work on a processor that it shares with whoever else is there,
as an engine's does. Below ``/b-…`` it costs ``slower`` more than below ``/a-…``: the difference is
exact whatever the machine does.
"""

import argparse
import asyncio
import hashlib
from contextlib import AbstractContextManager
from typing import Any

from loadtest.null_server import (
    NullServer,
    begin_stream,
    end_stream,
    route_of,
    server_process,
    write_chunk,
    write_event,
)

WORK_BYTES = 1 << 20


class WorkingServer(NullServer):
    """Streams as fast as it can hash ``WORK_BYTES`` a token, or some more for variant b."""

    def __init__(self, slower: float) -> None:
        super().__init__()
        self._work = {"a": bytes(WORK_BYTES), "b": bytes(round(WORK_BYTES * (1 + slower)))}

    async def respond(self, head: bytes, body: Any, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        work = self._work[route_of(head).strip("/")[0]]
        begin_stream(writer)
        for _ in range(body["max_tokens"]):
            hashlib.sha256(work).digest()
            write_event(writer, {"choices": [{"index": 0, "text": "a ", "finish_reason": None}]})
            await writer.drain()
            # A batch goes on together: every stream gets its next token in turn.
            await asyncio.sleep(0)
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": body["max_tokens"]}
        write_event(writer, {"choices": [], "usage": usage})
        write_chunk(writer, b"data: [DONE]\n\n")
        await end_stream(writer)


def working_server(slower: float) -> AbstractContextManager[int]:
    """The server in a process of its own, until the block ends; gives its port.

    Raises:
        RuntimeError: it does not start.
    """
    return server_process("tests.benches.detect.working_server", "--slower", str(slower))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="working_server")
    parser.add_argument("--slower", type=float, required=True)
    asyncio.run(WorkingServer(parser.parse_args().slower).serve(0))


if __name__ == "__main__":
    main()
