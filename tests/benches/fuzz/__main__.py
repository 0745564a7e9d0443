"""``python -m tests.benches.fuzz``: nothing that is sent brings a server error, or an engine down.

Serves one variant of every engine for itself and asks it wrongly in three ways: spoilt bodies
(``mutations``), spoilt HTTP (``wire``), and schemathesis on a document made of our request models
(``openapi``). Every answer is judged by ``exchange.faults``; then the engines must be the same
processes as before and answer a good request. Writes ``results/bench/fuzz.json``.
"""

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import aiohttp
import psutil

from deploy.health import health
from deploy.service import processes_of
from tests.benches.fuzz.campaign import (
    Finding,
    Tally,
    fuzz_bodies,
    fuzz_schema,
    fuzz_sockets,
)
from tests.benches.fuzz.mutations import CHAT, COMPLETIONS, Body, valid_bodies
from tests.benches.harness.bench_command import Bench, start
from tests.benches.harness.bench_figures import Figure, at_least, at_most
from tests.benches.harness.bench_run import BenchRun
from tests.benches.harness.bench_table import columns
from tests.benches.harness.own_service import OwnService, own_service

PLAN = Path(__file__).parent / "plan.yaml"
LEAST_REQUESTS = 10_000
# Shares of the requests that are ours; schemathesis decides its own number from ``EXAMPLES``.
BODIES_SHARE, SOCKETS_SHARE = 0.8, 0.2
EXAMPLES = 120
SHOWN = 60


def lasting_processes(service: OwnService) -> set[tuple[int, float]]:
    """Pids and births of the deployment's processes, without idle workers: those come and go."""
    found = set()
    for process in processes_of(service.record.deployment, service.record.ray_folder):
        with suppress(psutil.Error):
            if process.cmdline()[:1] != ["ray::IDLE"]:
                found.add((process.pid, process.create_time()))
    return found


async def good_answers(url: str, variants: Sequence[str]) -> list[str]:
    """What is wrong with the answers to good requests, on every route; empty: nothing."""
    asked = [
        (prefix + route, body)
        for variant in variants
        for route in (COMPLETIONS, CHAT)
        for prefix in ("", f"/{variant}")
        for body in valid_bodies(variant, route)
    ]
    async with aiohttp.ClientSession() as session:
        faults = [await _good_fault(session, url + path, body) for path, body in asked]
    return [
        f"{path}: {fault} for {body}"
        for (path, body), fault in zip(asked, faults, strict=True)
        if fault is not None
    ]


async def _good_fault(session: aiohttp.ClientSession, url: str, body: Body) -> str | None:
    """What is wrong with the answer to a good request; None: nothing."""
    try:
        async with session.post(url, json=body) as answer:
            if answer.status != 200:
                return str(answer.status)
            return None if (await answer.json()).get("choices") else "no choices"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return repr(error)


def campaign(run: BenchRun, service: OwnService, tally: Tally, requests: int, seed: int) -> None:
    """All three fuzzers, one after the other; one that breaks off leaves the others."""
    url = service.url
    with run.cell("bodies"):
        run.say("bodies …")
        asyncio.run(fuzz_bodies(url, tally, int(requests * BODIES_SHARE), seed, run.say))
    with run.cell("sockets"):
        run.say("sockets …")
        asyncio.run(fuzz_sockets(url, tally, int(requests * SOCKETS_SHARE), seed, run.say))
    with (
        run.cell("schemathesis"),
        tempfile.TemporaryDirectory(prefix="assay-fuzz-") as folder,
    ):
        run.say("schemathesis …")
        examples = max(1, EXAMPLES * requests // LEAST_REQUESTS)
        run.say(f"  {fuzz_schema(url, tally, examples, seed, Path(folder))}")


def figures_of(
    tally: Tally, restarts: int, gone: int, wrong: Sequence[str], least: int
) -> list[Figure]:
    """What must hold; every limit is a count."""
    kinds: Counter[str] = Counter()
    for finding in tally.findings:
        kinds.update({fault.partition(" (")[0] for fault in finding.faults})
    server_errors = sum(n for (_, _, status), n in tally.counts.items() if status >= 500)
    none_of = {
        "answers of 500 and above": server_errors,
        "answers with a traceback": kinds["a traceback in the body"],
        "answers that are wrong in any way": len(tally.findings),
        "engine restarts": restarts,
        "processes that ended": gone,
        "good requests that fail afterwards": len(wrong),
    }
    return [
        at_least("requests", tally.requests, "count", least),
        *(at_most(name, value, "count", 0) for name, value in none_of.items()),
        at_most("slowest answer", tally.slowest_s, "s", None),
    ]


def counts_table(tally: Tally) -> str:
    """Requests by fuzzer and route, by status (0: the connection was closed without an answer)."""
    statuses = sorted({status for _, _, status in tally.counts})
    found: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for (source, route, status), count in tally.counts.items():
        found[source, route][status] = count
    rows = [
        (f"{source} {route}", *(str(counts.get(status, "–")) for status in statuses))
        for (source, route), counts in sorted(found.items())
    ]
    return columns(("fuzzer and route", *map(str, statuses)), rows)


def told(findings: Sequence[Finding], say: Callable[[str], None]) -> None:
    """Findings by kind, each with one example."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        where = finding.path.split("/")[1] if finding.path.count("/") > 1 else ""
        groups[f"{'; '.join(sorted(set(finding.faults)))} [{where}]"].append(finding)
    for kind, found in sorted(groups.items(), key=lambda item: -len(item[1]))[:SHOWN]:
        first = found[0]
        say(f"! {kind}: {len(found)} times, as {first.method} {first.path} ({first.case})")
        say(f"    asked {first.asked[:300]}")
        say(f"    answered {first.answered[-1500:]}")


def measure(run: BenchRun, arguments: argparse.Namespace) -> None:
    """Serve, ask wrongly, and see whether all is as before."""
    with own_service(str(PLAN), "make bench-fuzz", run.say, None) as service:
        before = lasting_processes(service)
        tally = Tally(service.plan.variants)
        try:
            campaign(run, service, tally, arguments.requests, arguments.seed)
        finally:
            conclude(run, service, tally, before, arguments)


def conclude(
    run: BenchRun,
    service: OwnService,
    tally: Tally,
    before: set[tuple[int, float]],
    arguments: argparse.Namespace,
) -> None:
    """Figures of all that was asked so far, and whether the service still is what it was."""
    variants = service.plan.variants
    wrong = asyncio.run(good_answers(service.url, variants))
    gone = before - lasting_processes(service)
    states = health(service.url)
    # A variant that says nothing any more counts as restarted, too.
    restarts = sum(states.get(name, {}).get("restarts", 1) for name in variants)
    least = min(LEAST_REQUESTS, arguments.requests)
    run.figures += figures_of(tally, restarts, len(gone), wrong, least)
    run.say(f"\n{counts_table(tally)}\nslowest answer: {tally.slowest_s:.1f} s\n")
    told(tally.findings, run.say)
    for line in wrong:
        run.say(f"! a good request afterwards: {line}")
    run.more["seed"] = arguments.seed
    run.more["counts"] = [
        {"fuzzer": source, "route": route, "status": status, "requests": count}
        for (source, route, status), count in sorted(tally.counts.items())
    ]
    run.more["findings"] = [asdict(finding) for finding in tally.findings]


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=LEAST_REQUESTS, help="of our own fuzzers")
    parser.add_argument("--seed", type=int, default=0)


BENCH = Bench(
    name="fuzz",
    about=__doc__,
    measure=measure,
    add_options=_add_options,
    distributions=("ray", "aiohttp"),
    environments=("fuzz",),
)

if __name__ == "__main__":
    start(BENCH)
