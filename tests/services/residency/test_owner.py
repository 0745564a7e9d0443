"""The owner answers when there is news, and loses no memory whoever is replaced meanwhile."""

import asyncio
from dataclasses import replace

import pytest

import services.residency.owner as module
from services.residency.decision import Phase
from services.residency.owner import GONE_S, Owner, OwnerSettings, Report

ONE = {"machine": 10}
SETTINGS = OwnerSettings(needs={"a": ONE, "b": ONE}, room=ONE)


class Clock:
    """Stands still until a test moves it."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Replica:
    """What one replica reports."""

    def __init__(self, owner: Owner, name: str, born_ns: int = 1) -> None:
        self.owner = owner
        self.report = Report(
            variant=name,
            born_ns=born_ns,
            count=0,
            phase=Phase.ASLEEP,
            may_be_awake=False,
            wanted=False,
            proven=True,
        )

    async def tells(
        self, phase: Phase = Phase.ASLEEP, *, wanted: bool = False, proven: bool = True
    ) -> bool:
        self.report = replace(
            self.report, count=self.report.count + 1, phase=phase, wanted=wanted, proven=proven
        )
        told = await self.owner.tell(self.report)
        self.report = replace(self.report, may_be_awake=told)
        return told

    def unheard(self) -> None:
        """The last answer was lost."""
        self.report = replace(self.report, may_be_awake=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    return Clock()


@pytest.fixture
def pair(clock: Clock) -> tuple[Replica, Replica]:
    owner = Owner(SETTINGS, clock=clock)
    return Replica(owner, "a"), Replica(owner, "b")


async def both_heard(a: Replica, b: Replica) -> None:
    await a.tells()
    await b.tells()


async def test_nobody_wakes_before_all_that_may_hold_memory_are_heard(
    pair: tuple[Replica, Replica], clock: Clock
) -> None:
    a, _b = pair
    assert not await a.tells(wanted=True)
    clock.now_s = GONE_S + 1
    assert await a.tells(wanted=True), "the other one is gone for good"


async def test_whoever_is_asked_for_wakes_and_the_other_makes_room_when_it_is_asked_for(
    pair: tuple[Replica, Replica], clock: Clock
) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    assert await a.tells(Phase.WAKING)
    assert await a.tells(Phase.AWAKE)
    clock.now_s = 1
    assert not await b.tells(wanted=True)
    assert not await a.tells(Phase.AWAKE)
    assert not await a.tells(Phase.LEAVING)
    assert not await b.tells(wanted=True), "it has not left yet"
    assert not await a.tells()
    assert await b.tells(wanted=True)


async def test_an_answer_comes_at_once_when_there_is_news_and_else_after_a_while(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await both_heard(a, b)
    await a.tells(wanted=True)
    await a.tells(Phase.AWAKE)
    monkeypatch.setattr(module, "PATIENCE_S", 30)
    waiting = asyncio.ensure_future(a.tells(Phase.AWAKE))
    asking = asyncio.ensure_future(b.tells(wanted=True))
    async with asyncio.timeout(5):
        assert await waiting is False
    asking.cancel()


async def test_a_question_that_a_later_one_has_overtaken_is_answered_and_not_counted(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    await both_heard(a, b)
    monkeypatch.setattr(module, "PATIENCE_S", 30)
    old = replace(a.report, count=a.report.count + 1)
    waiting = asyncio.ensure_future(a.owner.tell(old))
    await asyncio.sleep(0)
    a.report = old
    async with asyncio.timeout(5):
        assert await a.tells(wanted=True)
        await waiting
        assert await a.owner.tell(old), "an old report says nothing new"


async def test_leave_to_wake_stands_until_it_was_heard(pair: tuple[Replica, Replica]) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    a.unheard()
    assert not await b.tells(wanted=True), "the memory is promised"
    assert await a.tells(wanted=True)


async def test_one_that_could_not_start_holds_nothing(pair: tuple[Replica, Replica]) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    await a.tells(Phase.WAKING)
    assert not await a.tells(Phase.ASLEEP, wanted=False)
    assert await b.tells(wanted=True)


async def test_a_new_replica_of_one_that_was_awake_holds_nothing(
    pair: tuple[Replica, Replica],
) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    await a.tells(Phase.AWAKE)
    again = Replica(a.owner, "a", born_ns=2)
    assert not await again.tells()
    assert await b.tells(wanted=True)
    assert await b.tells(Phase.AWAKE)
    await a.tells(Phase.AWAKE)
    assert await b.tells(Phase.AWAKE), "the dead one's last report came too late"


async def test_a_new_owner_learns_who_is_awake_from_the_replicas(
    pair: tuple[Replica, Replica], clock: Clock
) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    await a.tells(Phase.AWAKE)
    a.owner = b.owner = Owner(SETTINGS, clock=clock)
    assert not await b.tells(wanted=True), "the other may be awake"
    assert not await a.tells(Phase.AWAKE), "and is, and is to make room"
    assert not await b.tells(wanted=True)


async def test_one_whose_replica_is_silent_is_not_waited_for(
    pair: tuple[Replica, Replica], clock: Clock
) -> None:
    a, b = pair
    await both_heard(a, b)
    assert await a.tells(wanted=True)
    await a.tells(Phase.AWAKE)
    clock.now_s = GONE_S + 1
    assert await b.tells(wanted=True)


async def test_all_are_proven_once_in_the_plans_order_whoever_reports_first(clock: Clock) -> None:
    owner = Owner(SETTINGS, clock=clock)
    a, b = Replica(owner, "a"), Replica(owner, "b")
    assert not await b.tells(wanted=True, proven=False)
    clock.now_s = 1
    assert await a.tells(wanted=True, proven=False)
    assert not await b.tells(wanted=True, proven=False)
