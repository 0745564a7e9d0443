"""Two variants with room for one, in front of real child processes: who waits, who is told what.

covers: services/http/connection.py, services/engine/supervisor.py
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import services.residency.owner as owner_module
import services.residency.resident as module
from services.engine.life_cycle import State
from services.engine.supervisor import Supervisor
from services.replica import VariantApp
from services.residency.owner import Owner, OwnerSettings, Report
from services.residency.resident import OwnerGoneError
from tests.services.engine.living import living
from tests.services.engine.test_child import spec
from tests.services.engine.test_supervisor import supervisor, until
from tests.services.test_replica import Message, ask, never

ONE = {"machine": 1}
STREAM = {"prompt": "x", "stream": True, "forever": True}


@dataclass(kw_only=True)
class Flat:
    """Two variants and their owner, who can be taken away."""

    owner: Owner | None
    apps: dict[str, VariantApp]
    watched: dict[str, Supervisor]

    async def tell(self, report: Report) -> bool:
        if self.owner is None:
            raise OwnerGoneError
        return await self.owner.tell(report)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_module, "PATIENCE_S", 1.0)
    monkeypatch.setattr(module, "LINGER_S", 0.05)
    monkeypatch.setattr(module, "RETRY_S", 0.05)


@asynccontextmanager
async def flat(tmp_path: Path, options: dict[str, Any], **changes: Any) -> AsyncIterator[Flat]:
    """Two variants: ``options`` are those of each one's engine; one of them can be awake."""
    settings = OwnerSettings(needs=dict.fromkeys(options, ONE), room=ONE)
    given = {"owner": "gateway", "residency": "turns", "residency_s": 0.2, "queue_length": 2}
    found = Flat(owner=Owner(settings), apps={}, watched={})
    async with AsyncExitStack() as stack:
        for name, words in options.items():
            (tmp_path / name).mkdir()
            watched = supervisor(tmp_path / name, spec(*words), **{**given, **changes})
            watched.variant = replace(watched.variant, name=name)
            found.watched[name] = watched
            found.apps[name] = VariantApp(watched, ask=found.tell)
        for app in found.apps.values():
            await stack.enter_async_context(living(app))
        yield found


def alive(watched: Supervisor) -> bool:
    child = watched._child
    return child is not None and child.process is not None and child.process.poll() is None


async def proven(house: Flat) -> None:
    """Until each was started once, in the plan's order, and the last one is awake."""
    *before, last = house.watched.values()
    await until(last, State.READY)
    assert [watched.status.state for watched in before] == [State.ASLEEP] * len(before)


async def complete(house: Flat, name: str, **fields: Any) -> Any:
    bodies = [json.dumps({"prompt": "x", **fields}).encode()]

    async def receive() -> Message:
        return {"type": "http.request", "body": bodies.pop()} if bodies else await never()

    return await ask(house.apps[name], "POST", "/v1/completions", receive)


BOTH: dict[str, Any] = {"a": (), "b": ()}


async def test_each_is_proven_once_one_after_the_other_and_then_sleeps(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await until(house.watched["a"], State.READY)
        assert not alive(house.watched["b"])
        await proven(house)
        assert not alive(house.watched["a"])
        told = house.watched["a"].known()
        assert told["state"] == "asleep"
        assert told["start_s"] > 0, "what was proven stays known"


async def test_a_request_for_one_that_sleeps_waits_for_it_and_the_other_makes_room(
    tmp_path: Path,
) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        asked = [asyncio.ensure_future(complete(house, name)) for name in ("a", "b", "a")]
        answers = await asyncio.gather(*asked)
        assert [status for status, _ in answers] == [200, 200, 200]
        assert not (alive(house.watched["a"]) and alive(house.watched["b"]))


async def test_what_is_awake_tells_its_state_and_what_sleeps_is_healthy_too(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        for name, state in (("a", "asleep"), ("b", "ready")):
            app = house.apps[name]
            assert await ask(app, "GET", "/health", never) == (
                200,
                {"ready": True, "state": state},
            )
            _, models = await ask(app, "GET", "/v1/models", never)
            assert models["data"][0]["state"] == state
        status, health = await ask(house.apps["a"], "GET", "/healthz", never)
        assert (status, health["residency"], health["waiting"]) == (200, "turns", 0)


async def test_open_requests_are_finished_before_one_sleeps(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        left = asyncio.Event()
        bodies = [json.dumps(STREAM).encode()]

        async def receive() -> Message:
            if bodies:
                return {"type": "http.request", "body": bodies.pop()}
            await left.wait()
            return {"type": "http.disconnect"}

        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": []}
        stream = asyncio.ensure_future(house.apps["b"](scope, receive, send))
        while len(sent) < 3:
            await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(complete(house, "a"))
        await until(house.watched["b"], State.LEAVING)
        later = asyncio.ensure_future(complete(house, "b"))
        before = len(sent)
        await asyncio.sleep(0.3)
        assert len(sent) > before, "the stream flows on"
        assert not later.done(), "and nothing new is taken"
        assert alive(house.watched["b"])
        left.set()
        await stream
        assert (await waiting)[0] == (await later)[0] == 200


async def test_more_requests_than_may_wait_are_refused_with_the_remedy(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH, residency_s=30, max_sequences=8) as house:
        await proven(house)
        house.owner = None
        asked = [asyncio.ensure_future(complete(house, "a")) for _ in range(3)]
        done, pending = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        ((status, body),) = [task.result() for task in done]
        assert (status, body["error"]["type"]) == (503, "unavailable_error")
        assert "a is asleep and 2 requests wait for it already" in body["error"]["message"]
        assert "serving.queue_length" in body["error"]["message"]
        for task in pending:
            task.cancel()


async def test_what_no_engine_could_answer_wakes_nobody(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        status, body = await complete(house, "a", max_tokens=10_000)
        assert (status, body["error"]["param"]) == (400, "max_tokens")
        await asyncio.sleep(0.2)
        assert house.watched["a"].status.state is State.ASLEEP


async def test_a_client_that_leaves_is_forgotten(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        house.owner = None
        left, bodies = asyncio.Event(), [b'{"prompt": "x"}']

        async def receive() -> Message:
            if bodies:
                return {"type": "http.request", "body": bodies.pop()}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(_message: Message) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": []}
        waiting = asyncio.ensure_future(house.apps["a"](scope, receive, send))
        await asyncio.sleep(0.05)
        _, health = await ask(house.apps["a"], "GET", "/healthz", never)
        left.set()
        await waiting
        _, after = await ask(house.apps["a"], "GET", "/healthz", never)
        assert [h["waiting"] for h in (health, after)] == [1, 0]
        assert [h["in_flight"] for h in (health, after)] == [1, 0]


async def test_all_that_wait_for_one_that_cannot_start_are_told_why(tmp_path: Path) -> None:
    broken = {"b": (), "a": ("--never-ready", "--die-after", "0.5")}
    async with flat(tmp_path, broken) as house:
        asked = [asyncio.ensure_future(complete(house, "a")) for _ in range(2)]
        for status, body in await asyncio.gather(*asked):
            assert status == 503
            assert body["error"]["message"] == "a is failed: the engine exited with code 0"
        assert (await complete(house, "b"))[0] == 200, "the others go on"


async def test_one_that_is_not_woken_in_time_says_so(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH, request_timeout_s=1) as house:
        await proven(house)
        house.owner = None
        status, body = await complete(house, "a")
        assert status == 503
        assert "serving.request_timeout_s" in body["error"]["message"]


async def test_a_killed_engine_is_started_again_and_the_other_has_its_turn(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH, residency_s=5) as house:
        await proven(house)
        process = house.watched["b"].ready_child().process
        assert process is not None
        process.kill()
        await until(house.watched["b"], State.STARTING)
        answers = await asyncio.gather(complete(house, "b"), complete(house, "a"))
        assert [status for status, _ in answers] == [200, 200]


async def test_all_that_wait_are_told_when_the_service_stops(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        house.owner = None
        waiting = asyncio.ensure_future(complete(house, "a"))
        await asyncio.sleep(0.05)
        assert await house.apps["a"].drain(5) == 0
        status, body = await waiting
        assert (status, "a is draining" in body["error"]["message"]) == (503, True)


async def test_nothing_is_left_of_one_that_is_stopped_while_it_wakes(tmp_path: Path) -> None:
    async with flat(tmp_path, {"a": ("--never-ready",), "b": ()}) as house:
        while not alive(house.watched["a"]):
            await asyncio.sleep(0.01)
        assert house.watched["a"].status.state is State.WAKING
    assert not alive(house.watched["a"])


async def test_requests_are_kept_while_the_owner_is_replaced(tmp_path: Path) -> None:
    async with flat(tmp_path, BOTH) as house:
        await proven(house)
        house.owner = None
        waiting = asyncio.ensure_future(complete(house, "a"))
        await asyncio.sleep(0.2)
        house.owner = Owner(OwnerSettings(needs=dict.fromkeys(BOTH, ONE), room=ONE))
        assert (await waiting)[0] == 200
        assert not (alive(house.watched["a"]) and alive(house.watched["b"]))
