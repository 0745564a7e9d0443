"""The three fuzzers, each against the running service: bodies, sockets, schemathesis."""

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from quantize.jobs.environment import python_of
from quantize.jobs.lifeline import guarded
from quantize.root import ROOT
from tests.benches.fuzz import wire_abuse, wire_requests
from tests.benches.fuzz.exchange import Exchange, faults, route_of, shown
from tests.benches.fuzz.mutations import CHAT, COMPLETIONS, mutate, valid_bodies
from tests.benches.fuzz.openapi import document
from tests.benches.fuzz.sockets import ANSWER_TIMEOUT_S, send_case
from tests.benches.fuzz.wire import Draw
from tests.benches.harness.raw_client import ClientError, RawClient, request

CONCURRENCY = 6
# A stuck schemathesis must not hold the benchmark for ever.
SCHEMATHESIS_TIMEOUT_S = 3600.0
_SHOWN_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An answer that is wrong, with what was asked (its beginning)."""

    source: str
    case: str
    method: str
    path: str
    status: int
    faults: list[str]
    asked: str
    answered: str


@dataclass
class Tally:
    """Requests by source, method, route and status, and everything that was wrong."""

    variants: tuple[str, ...]
    counts: dict[tuple[str, str, int], int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    slowest_s: float = 0.0

    @property
    def requests(self) -> int:
        """All requests so far."""
        return sum(self.counts.values())

    def add(self, exchange: Exchange, asked: bytes) -> None:
        """Judge one exchange and count it."""
        self.slowest_s = max(self.slowest_s, exchange.seconds)
        self.count(exchange.source, exchange.path, exchange.status)
        if found := faults(exchange):
            self.findings.append(
                Finding(
                    source=exchange.source,
                    case=exchange.case,
                    method=exchange.method,
                    path=exchange.path[:200],
                    status=exchange.status,
                    faults=found,
                    asked=repr(asked[:_SHOWN_BYTES]),
                    answered=shown(exchange),
                )
            )

    def count(self, source: str, path: str, status: int) -> None:
        """Count one request."""
        key = (source, route_of(path, self.variants), status)
        self.counts[key] = self.counts.get(key, 0) + 1


async def fuzz_bodies(
    url: str, tally: Tally, count: int, seed: int, tell: Callable[[str], None]
) -> None:
    """``count`` spoilt bodies, by turns to every variant's routes and the gateway's."""
    rng = random.Random(seed)
    host, port = _address(url)
    targets = [
        (variant, prefix, route)
        for variant in tally.variants
        for prefix in (f"/{variant}", "")
        for route in (COMPLETIONS, CHAT)
    ]
    planned = iter(range(count))

    async def work(user: RawClient) -> None:
        for number in planned:
            variant, prefix, route = targets[number % len(targets)]
            case, body = mutate(rng.choice(valid_bodies(variant, route)), rng)
            tally.add(await _post(user, prefix + route, case, body), body)
            if number % 500 == 499:
                tell(f"  {number + 1:,} bodies, {len(tally.findings)} findings")
        user.leave()

    await asyncio.gather(*(work(RawClient(port, host)) for _ in range(CONCURRENCY)))


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


async def _post(user: RawClient, path: str, case: str, body: bytes) -> Exchange:
    began = time.monotonic()
    answer, broke = None, None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await user.ask(request("POST", path, body))
    except TimeoutError:
        user.leave()
        broke = f"nothing came for {ANSWER_TIMEOUT_S:.0f} s"
    except ClientError as error:
        broke = str(error)
    return Exchange(
        source="bodies",
        case=case,
        method="POST",
        path=path,
        status=answer.status if answer else 0,
        headers=answer.headers if answer else {},
        body=answer.content if answer else b"",
        seconds=time.monotonic() - began,
        broke=broke,
    )


async def fuzz_sockets(
    url: str, tally: Tally, count: int, seed: int, tell: Callable[[str], None]
) -> None:
    """At least ``count`` requests as raw bytes."""
    draw = Draw(variants=tally.variants, rng=random.Random(seed))
    kinds = (*wire_requests.KINDS, *wire_abuse.KINDS)
    host, port = _address(url)
    sent = 0

    async def work() -> None:
        nonlocal sent
        while sent < count:
            case = draw.rng.choice(kinds)(draw)
            sent += max(1, case.answers)
            for exchange in await send_case(case, host, port):
                tally.add(exchange, b"".join(case.parts))

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    tell(f"  {sent:,} requests as raw bytes, {len(tally.findings)} findings")


def fuzz_schema(url: str, tally: Tally, examples: int, seed: int, folder: Path) -> str:
    """Run schemathesis on our OpenAPI document; returns its own last words.

    Its every exchange is counted and judged by our rules; what its own checks miss beyond them is
    a finding as well.
    """
    schema, rows, log = folder / "openapi.json", folder / "rows.jsonl", folder / "schemathesis.log"
    schema.write_text(json.dumps(document(tally.variants)))
    rows.touch()
    variables = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.benches.fuzz.schemathesis_hooks",
        "ASSAY_FUZZ_ROWS": str(rows),
        "PYTHONPATH": str(ROOT),
    }
    command = _schemathesis(schema, url, examples, seed)
    fault = run_to_end(command, variables, log, SCHEMATHESIS_TIMEOUT_S)
    for line in rows.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tally.count("schemathesis", row["path"], row["status"])
        if row["faults"]:
            tally.findings.append(Finding(source="schemathesis", **row))
    words = log.read_text(errors="replace")
    if fault is not None:
        tally.findings.append(
            Finding(
                source="schemathesis",
                case="its own checks",
                method="?",
                path="/…",
                status=0,
                faults=[fault],
                asked="",
                answered=words[-6000:],
            )
        )
    return words.strip().splitlines()[-1] if words.strip() else "no output"


def _schemathesis(schema: Path, url: str, examples: int, seed: int) -> list[str]:
    program = str(python_of("fuzz").parent / "schemathesis")
    return [
        *(program, "run", str(schema), "--url", url, "--seed", str(seed), "--workers", "2"),
        *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)),
        *("--request-timeout", str(ANSWER_TIMEOUT_S), "--continue-on-failure", "--no-shrink"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
    ]


def run_to_end(
    command: Sequence[str], variables: Mapping[str, str], log: Path, timeout_s: float
) -> str | None:
    """Run a tool to its end, or for so long; returns why it failed, None where it did not.

    It runs in its log's folder. Nothing of it is left, whatever ends the wait.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            guarded(command),
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=variables,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return f"no end after {timeout_s:.0f} s"
        finally:
            # Its guard ends the whole process group, and could not if it were killed itself.
            process.terminate()
            process.wait()
    return f"exit code {code}" if code else None
