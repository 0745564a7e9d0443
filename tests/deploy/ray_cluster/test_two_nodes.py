"""A plan on a Ray cluster of two nodes: spread over both, and whole again when one is lost.

covers: deploy/ray_cluster/*.py
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from quantize.jobs.environment import python_of
from quantize.root import ROOT
from tests.assay_command import ASSAY
from tests.deploy.ray_cluster.network import Host, two_hosts, why_not

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]
VARIANTS = ("gguf-q8_0", "gguf-q2_k")
PORT = 8767
RAY_PORT = 6379
RAY = str(python_of("control").with_name("ray"))
# A node that cannot start in Ray's own 15 s (a busy machine) gets more chances.
ATTEMPTS = 5
# Ray misses a dead node after about 15 s of silence; then the engine starts.
RECOVERY_LIMIT_S = 120.0
ASK = """
from tests.assay_command import ASSAY
import json, sys, urllib.error, urllib.request
body = sys.argv[2].encode() or None
request = urllib.request.Request(sys.argv[1], body, {"content-type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=5) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
except OSError as error:
    print(json.dumps([0, str(error)]))
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Two nodes, and a checkout that both see."""

    head: Host
    worker: Host
    plan: Path
    env: dict[str, str]

    @property
    def address(self) -> str:
        return f"{self.head.address}:{RAY_PORT}"

    def deploy(self, *words: str) -> str:
        """Run a command of ours on the head node."""
        done = self.head.run(*ASSAY, *words, env=self.env, timeout_s=400)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        """One request from the head node; status 0 where nobody answers."""
        words = (f"http://127.0.0.1:{PORT}{path}", json.dumps(body) if body else "")
        done = self.head.run(sys.executable, "-c", ASK, *words, env=self.env, timeout_s=30)
        status, text = json.loads(done.stdout)
        return status, text

    def where(self, variant: str) -> str | None:
        """The node on which a variant answers; None while it does not."""
        status, text = self.ask(f"/{variant}/healthz")
        return str(json.loads(text)["node"]) if status == 200 else None


def start_node(host: Host, env: dict[str, str], *words: str) -> None:
    """Start Ray on a host, again where a busy machine was too slow for it."""
    options = ("--num-cpus=4", "--object-store-memory=80000000", "--disable-usage-stats")
    said = ""
    for _attempt in range(ATTEMPTS):
        try:
            done = host.run(RAY, "start", *words, *options, env=env, timeout_s=150)
        except subprocess.TimeoutExpired as late:
            said = str(late)
        else:
            if done.returncode == 0:
                return
            said = done.stdout
        host.kill()
    pytest.fail(f"Ray did not start on {host.address}: {said}")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes on one machine, with a service of somebody else on them."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    (ROOT / ".run").mkdir(exist_ok=True)
    # Ray's sockets need short paths, and both hosts must see it beside a /tmp of their own.
    folder = Path(tempfile.mkdtemp(dir=ROOT / ".run", prefix="n-"))
    plan = folder / "plan.yaml"
    limits = {"port": PORT, "context_length": 512, "threads": 1, "kv_cache_gib": 0.25}
    content = {"name": "two-nodes", "variants": list(VARIANTS), "baseline": VARIANTS[0]}
    plan.write_text(yaml.safe_dump(content | {"serving": limits}))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = {**os.environ, **token, "ASSAY_RUN_DIR": str(folder / "run"), "RAY_worker_niceness": "0"}
    try:
        with two_hosts(folder) as (head, worker):
            made = Cluster(head=head, worker=worker, plan=plan, env=env)
            made.deploy("quantize", "--plan", str(plan))
            node = f"--node-ip-address={head.address}"
            port = f"--port={RAY_PORT}"
            start_node(head, env, "--head", "--include-dashboard=false", node, port)
            join = f"--address={made.address}"
            start_node(worker, env, join, f"--node-ip-address={worker.address}")
            theirs = (
                sys.executable,
                "-m",
                "tests.deploy.ray_cluster.neighbour",
                made.address,
                str(PORT),
            )
            said = head.run(*theirs, env=env, timeout_s=200)
            assert said.returncode == 0, said.stdout
            yield made
    finally:
        shutil.rmtree(folder)


def test_a_lost_nodes_variant_comes_back_on_the_other_and_down_leaves_others_alone(
    cluster: Cluster, record_property: Any
) -> None:
    table = cluster.deploy("up", "--plan", str(cluster.plan), "--ray-address", cluster.address)
    nodes = {variant: cluster.where(variant) for variant in VARIANTS}
    assert set(nodes.values()) == {cluster.head.address, cluster.worker.address}
    assert cluster.worker.address in table

    question = {"prompt": "The capital of", "max_tokens": 4, "temperature": 0}
    before = {}
    for variant in VARIANTS:
        status, text = cluster.ask("/v1/completions", {**question, "model": variant})
        assert status == 200
        before[variant] = json.loads(text)["choices"][0]["text"]

    (lost,) = (variant for variant, node in nodes.items() if node == cluster.worker.address)
    killed = time.monotonic()
    assert cluster.worker.kill() > 0
    while cluster.where(lost) != cluster.head.address:
        assert time.monotonic() - killed < RECOVERY_LIMIT_S
        time.sleep(0.3)
    record_property("recovery_s", round(time.monotonic() - killed, 1))
    print(f"{lost} answers on the other node {time.monotonic() - killed:.1f} s after the loss")
    for variant in VARIANTS:
        status, text = cluster.ask("/v1/completions", {**question, "model": variant})
        assert status == 200
        assert json.loads(text)["choices"][0]["text"] == before[variant]
    assert cluster.worker.address not in cluster.deploy("status")

    cluster.deploy("down")
    assert cluster.ask("/neighbour") == (200, "still here")
    assert json.loads(cluster.ask("/-/routes")[1]) == {"/neighbour": "neighbour"}
    assert "nothing runs" in cluster.deploy("status")
