"""Whether the client of a request is still there."""

import asyncio

from services.http.asgi import Receive


class WhileConnected:
    """Cancels the block when the client leaves, and goes on after it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = self._over = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watch = asyncio.ensure_future(_until_disconnect(self._receive))
        self._watch.add_done_callback(self._leave)

    def _leave(self, watch: asyncio.Task[None]) -> None:
        if not self._over and not watch.cancelled():
            assert self._task is not None
            self._left = True
            self._task.cancel()

    async def __aexit__(self, kind: object, error: object, trace: object) -> bool:
        self._over = True
        self._watch.cancel()
        # A cancellation from elsewhere at the same time is obeyed as such.
        return self._left and self._task is not None and self._task.uncancel() == 0


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
