"""Eight clients in a closed loop: each sends its next request when its last one is done."""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.benches.harness.raw_client import ClientError, RawClient, request
from tests.benches.harness.received import Received
from tests.benches.soak.answers import Judgement, Outcome, fault_of, output_tokens
from tests.benches.soak.mix import Mix, PlannedRequest

REQUEST_TIMEOUT_S = 120.0
TELL_S = 60.0


class Clients:
    """``concurrency`` clients of the service at ``url``; ``outcomes`` grows as they work."""

    def __init__(self, url: str, mix: Mix, concurrency: int) -> None:
        self.outcomes: list[Outcome] = []
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._users = [RawClient(address.port, address.hostname) for _ in range(concurrency)]
        self._mix = mix

    async def run(self, seconds: float, tell: Callable[[float], None]) -> None:
        """Load the service for so long; ``tell`` is called every minute with the seconds so far.

        Blocks until the last requests are answered.
        """
        self._began = time.perf_counter()
        telling = asyncio.create_task(self._tell(tell))
        try:
            await asyncio.gather(*(self._use(user, seconds) for user in self._users))
        finally:
            telling.cancel()
            for user in self._users:
                user.leave()

    async def _tell(self, tell: Callable[[float], None]) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            tell(self._now())

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def _use(self, user: RawClient, seconds: float) -> None:
        while self._now() < seconds:
            self.outcomes.append(await self._ask(user, self._mix.next()))

    async def _ask(self, user: RawClient, planned: PlannedRequest) -> Outcome:
        sent_s = self._now()
        answer: Received | None = None
        judgement: Judgement = "unexplained"
        detail: str | None
        try:
            async with asyncio.timeout(planned.leave_after_s or REQUEST_TIMEOUT_S):
                answer = await user.ask(request(planned.method, planned.path, planned.body))
            detail = fault_of(answer, planned)
        except TimeoutError:
            # Who leaves closes its connection, as a client does that goes away.
            answer = user.leave()
            leaves = planned.leave_after_s is not None
            judgement = "left" if leaves and _status(answer) in {0, 200} else judgement
            detail = None if judgement == "left" else f"no end after {self._now() - sent_s:.0f} s"
        except ClientError as error:
            answer = user.leave()
            detail = f"the connection broke ({error}), status {_status(answer)}"
        if judgement != "left" and detail is None:
            judgement = "answered" if _status(answer) == 200 else "refused"
        return self._outcome(planned, sent_s, answer, judgement, detail)

    def _outcome(
        self,
        planned: PlannedRequest,
        sent_s: float,
        answer: Received | None,
        judgement: Judgement,
        detail: str | None,
    ) -> Outcome:
        right = answer is not None and judgement == "answered"
        return Outcome(
            number=planned.number,
            kind=planned.kind,
            variant=planned.variant,
            path=planned.path,
            judgement=judgement,
            sent_s=sent_s,
            first_s=answer.first_s - self._began if answer and answer.first_s else None,
            end_s=self._now(),
            status=_status(answer),
            output_tokens=output_tokens(answer, stream=planned.stream) if answer and right else 0,
            detail=detail,
        )


def _status(answer: Received | None) -> int:
    return 0 if answer is None else answer.status
