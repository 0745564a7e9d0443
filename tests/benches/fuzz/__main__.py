"""``python -m tests.benches.fuzz``: nothing that is sent brings a server error, or an engine down.

Serves one variant of every engine for itself and asks it wrongly in three ways: spoilt bodies
(``mutations``), spoilt HTTP (``wire``), and schemathesis on a document made of our request models
(``openapi``). Every answer is judged by ``exchange.faults``; then the engines must be the same
processes as before and answer a good request. Writes ``results/bench/fuzz.json``.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import aiohttp
import psutil

from deploy.command_line import run_command
from deploy.health import health
from deploy.service import processes_of
from deploy.setup.installer import set_up
from tests.benches.fuzz.campaign import (
    Finding,
    Tally,
    fuzz_bodies,
    fuzz_schema,
    fuzz_sockets,
)
from tests.benches.fuzz.mutations import CHAT, COMPLETIONS, Body, valid_bodies
from tests.benches.harness.bench_figures import BENCH_DIR, Figure, write_figures
from tests.benches.harness.own_service import OwnService, own_service

PLAN = Path(__file__).parent / "plan.yaml"
FIGURES = BENCH_DIR / "fuzz.json"
LEAST_REQUESTS = 10_000
# Shares of the requests that are ours; schemathesis decides its own number from ``EXAMPLES``.
BODIES_SHARE, SOCKETS_SHARE = 0.8, 0.2
EXAMPLES = 120
SHOWN = 60


def _say(line: str) -> None:
    print(line, flush=True)


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


def campaign(service: OwnService, requests: int, seed: int) -> Tally:
    """All three fuzzers, one after the other."""
    tally = Tally(service.plan.variants)
    url = service.url
    _say("bodies …")
    asyncio.run(fuzz_bodies(url, tally, int(requests * BODIES_SHARE), seed, _say))
    _say("sockets …")
    asyncio.run(fuzz_sockets(url, tally, int(requests * SOCKETS_SHARE), seed, _say))
    _say("schemathesis …")
    with tempfile.TemporaryDirectory(prefix="assay-fuzz-") as folder:
        _say(f"  {fuzz_schema(url, tally, EXAMPLES, seed, Path(folder))}")
    return tally


def figures_of(
    tally: Tally, restarts: int, gone: int, wrong: Sequence[str], least: int
) -> list[Figure]:
    """What must hold; every limit is a count."""
    kinds: Counter[str] = Counter()
    for finding in tally.findings:
        kinds.update({fault.partition(" (")[0] for fault in finding.faults})
    server_errors = sum(n for (_, _, status), n in tally.counts.items() if status >= 500)

    def none_of(name: str, value: int) -> Figure:
        return Figure(name=name, value=value, unit="count", limit=0, met=value == 0)

    return [
        Figure(
            name="requests",
            value=tally.requests,
            unit="count",
            limit=least,
            met=tally.requests >= least,
        ),
        none_of("answers of 500 and above", server_errors),
        none_of("answers with a traceback", kinds["a traceback in the body"]),
        none_of("answers that are wrong in any way", len(tally.findings)),
        none_of("engine restarts", restarts),
        none_of("processes that ended", gone),
        none_of("good requests that fail afterwards", len(wrong)),
        Figure(name="slowest answer", value=tally.slowest_s, unit="s"),
    ]


def counts_table(tally: Tally) -> str:
    """Requests by fuzzer and route, by status (0: the connection was closed without an answer)."""
    statuses = sorted({status for _, _, status in tally.counts})
    rows: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for (source, route, status), count in tally.counts.items():
        rows[source, route][status] = count
    head = f"{'fuzzer':<14}{'route':<44}" + "".join(f"{status:>8}" for status in statuses)
    lines = [head]
    for (source, route), found in sorted(rows.items()):
        cells = "".join(f"{found.get(status, '–'):>8}" for status in statuses)
        lines.append(f"{source:<14}{route:<44}{cells}")
    return "\n".join(lines)


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


def _bench(arguments: argparse.Namespace) -> bool:
    set_up(["fuzz"])
    with own_service(str(PLAN), "make bench-fuzz", _say, None) as service:
        variants = service.plan.variants
        before = lasting_processes(service)
        tally = campaign(service, arguments.requests, arguments.seed)
        wrong = asyncio.run(good_answers(service.url, variants))
        gone = before - lasting_processes(service)
        states = health(service.url)
        # A variant that says nothing any more counts as restarted, too.
        restarts = sum(states.get(name, {}).get("restarts", 1) for name in variants)
    figures = figures_of(tally, restarts, len(gone), wrong, LEAST_REQUESTS)
    _say(f"\n{counts_table(tally)}\n")
    told(tally.findings, _say)
    for line in wrong:
        _say(f"! a good request afterwards: {line}")
    for figure in figures:
        limit = "" if figure.limit is None else f"limit {figure.limit:g}  "
        mark = "" if figure.met is None else "met" if figure.met else "NOT MET"
        _say(f"{figure.name:<40}{figure.value:>10,.6g} {figure.unit:<6} {limit}{mark}")
    counts = [
        {"fuzzer": source, "route": route, "status": status, "requests": count}
        for (source, route, status), count in sorted(tally.counts.items())
    ]
    write_figures(
        FIGURES,
        figures,
        ["ray", "aiohttp"],
        seed=arguments.seed,
        counts=counts,
        findings=[asdict(finding) for finding in tally.findings],
    )
    _say(f"written to {FIGURES}")
    return all(figure.met is not False for figure in figures)


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benches.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=LEAST_REQUESTS, help="of our own fuzzers")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    def command() -> None:
        if not _bench(arguments):
            sys.exit(1)

    run_command("bench-fuzz", command)


if __name__ == "__main__":
    main()
