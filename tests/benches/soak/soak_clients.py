"""Eight clients in a closed loop: each sends its next request when its last one is done."""

import asyncio
import time
from collections.abc import Callable

import aiohttp

from tests.benches.soak.answers import Answer, Judgement, Outcome
from tests.benches.soak.mix import Mix, PlannedRequest

REQUEST_TIMEOUT_S = 120.0


class Clients:
    """``concurrency`` clients of the service at ``url``; ``outcomes`` grows as they work."""

    def __init__(self, url: str, mix: Mix, concurrency: int) -> None:
        self.outcomes: list[Outcome] = []
        self._url = url
        self._mix = mix
        self._concurrency = concurrency

    async def run(self, seconds: float, tell: Callable[[float], None]) -> None:
        """Load the service for so long; ``tell`` is called every minute with the seconds so far.

        Blocks until the last requests are answered.
        """
        self._began = time.monotonic()
        ends = self._began + seconds
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            telling = asyncio.create_task(self._tell(tell))
            users = [self._use(session, ends) for _ in range(self._concurrency)]
            try:
                await asyncio.gather(*users)
            finally:
                telling.cancel()

    async def _tell(self, tell: Callable[[float], None]) -> None:
        while True:
            await asyncio.sleep(60)
            tell(time.monotonic() - self._began)

    async def _use(self, session: aiohttp.ClientSession, ends: float) -> None:
        while time.monotonic() < ends:
            self.outcomes.append(await self._ask(session, self._mix.next()))

    async def _ask(self, session: aiohttp.ClientSession, request: PlannedRequest) -> Outcome:
        answer = Answer(stream=request.stream)
        sent_s = time.monotonic() - self._began
        judgement: Judgement = "unexplained"
        detail: str | None
        try:
            # Cancelling the exchange closes its connection, as a client does that goes away.
            async with asyncio.timeout(request.leave_after_s):
                await self._exchange(session, request, answer)
            detail = answer.fault(request)
        except TimeoutError:
            leaves = request.leave_after_s is not None
            judgement = "left" if leaves and answer.status in {0, 200} else judgement
            detail = None if judgement == "left" else f"no end after {REQUEST_TIMEOUT_S:.0f} s"
        except aiohttp.ClientError as error:
            detail = f"the connection broke ({error!r}), status {answer.status}"
        if judgement != "left" and detail is None:
            judgement = "answered" if answer.status == 200 else "refused"
        return Outcome(
            number=request.number,
            kind=request.kind,
            variant=request.variant,
            path=request.path,
            judgement=judgement,
            sent_s=sent_s,
            first_s=answer.first_s,
            end_s=time.monotonic() - self._began,
            status=answer.status,
            output_tokens=answer.output_tokens() if judgement == "answered" else 0,
            detail=detail,
        )

    async def _exchange(
        self, session: aiohttp.ClientSession, request: PlannedRequest, answer: Answer
    ) -> None:
        async with session.request(
            request.method,
            self._url + request.path,
            data=request.body,
            headers={"content-type": "application/json"},
        ) as response:
            answer.status = response.status
            answer.request_id = response.headers.get("x-request-id")
            async for part in response.content.iter_any():
                answer.feed(part, time.monotonic() - self._began)
