"""Bringing a service up: whom it waits for, what it never stops, what it leaves behind."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import deploy.up as module
from deploy.haproxy.ingress import SWITCH
from deploy.plan import Plan, load_plan
from deploy.service import DeployError, ServiceRecord
from deploy.up import refuse_what_is_in_the_way, up
from quantize.artifact.manifest import ArtifactError
from tests.deploy.test_service import record_of

PLAN = load_plan("cpu-demo", variants="gguf-q8_0,gguf-q2_k")
READY = {"state": "ready", "start_s": 1.0}
STARTING = {"state": "starting"}
States = dict[str, dict[str, Any]]
Stopped = list[ServiceRecord]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopped]:
    """A service of which only the decisions are left; what was stopped is noted."""
    records: Stopped = []
    monkeypatch.setattr(module, "fingerprint", lambda plan: "wanted")
    monkeypatch.setattr(module, "POLL_S", 0.01)
    monkeypatch.setattr(module, "refuse_foreign_port", lambda plan: None)
    monkeypatch.setattr(module, "stop", records.append)
    monkeypatch.setattr(module, "read_record", lambda: None)
    sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
    hosts: list[subprocess.Popen[bytes]] = []

    def start_host(*_: object, **__: object) -> subprocess.Popen[bytes]:
        hosts.append(subprocess.Popen(sleeper))
        return hosts[-1]

    monkeypatch.setattr(module, "_start_host", start_host)
    yield records
    for host in hosts:
        host.kill()
        host.wait()


def served_at(host: str, port: int) -> Plan:
    """The plan at another address."""
    serving = PLAN.serving.model_copy(update={"host": host, "port": port})
    return PLAN.model_copy(update={"serving": serving})


def answers(monkeypatch: pytest.MonkeyPatch, *states: States) -> None:
    """What the service says of its variants, one answer after the other; the last remains."""
    left = list(states)
    monkeypatch.setattr(module, "health", lambda _url: left.pop(0) if len(left) > 1 else left[0])


def runs(monkeypatch: pytest.MonkeyPatch, folder: Path, fingerprint: str) -> ServiceRecord:
    record = replace(record_of(os.getpid(), folder), fingerprint=fingerprint)
    monkeypatch.setattr(module, "read_record", lambda: record)
    return record


def test_a_variant_that_fails_is_told_and_the_others_are_awaited(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"state": "failed", "reason": "no room"}
    first = {"bf16-vllm": {"state": "starting"}, "gguf-q8_0": broken}
    answers(monkeypatch, {}, first, {"bf16-vllm": READY, "gguf-q8_0": broken, "gguf-q2_k": READY})
    said: list[str] = []
    served = up(PLAN, [], said.append, owned=True, needed={"bf16-vllm"})
    assert (served.started, served.failed) == (True, {"gguf-q8_0": "no room"})
    assert "  gguf-q8_0 FAILED: no room" in said
    assert not stopped


def test_the_failure_of_a_needed_variant_stops_everything(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, {"gguf-q2_k": {"state": "failed", "reason": "no room"}})
    others = "the others are served by --variants bf16-vllm,gguf-q8_0"
    with pytest.raises(DeployError, match=f"gguf-q2_k: no room; {others}"):
        up(PLAN, [], print, owned=False, needed=PLAN.variants)


def test_a_variant_that_never_comes_is_late(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, {"bf16-vllm": READY, "gguf-q2_k": READY})
    limits = PLAN.serving.model_copy(update={"start_timeout_s": -60})
    plan: Plan = PLAN.model_copy(update={"serving": limits})
    failed = up(plan, [], print, owned=True, needed={"bf16-vllm"}).failed
    late = f"still stopped when serving.start_timeout_s was over; see {module.HOST_LOG}"
    assert failed == {"gguf-q8_0": late}


def test_one_that_sleeps_again_after_it_was_proven_has_come_up_and_one_before_has_not(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: dict[str, Any] = {"residency": "turns", "start_s": None}
    proven = {**turns, "state": "asleep", "start_s": 2.0}
    first = {"bf16-vllm": {**proven, "state": "ready"}, "gguf-q8_0": {**turns, "state": "waking"}}
    rest = {**turns, "state": "asleep"}
    last = {"bf16-vllm": proven, "gguf-q8_0": proven, "gguf-q2_k": {**proven, "state": "leaving"}}
    answers(monkeypatch, {**first, "gguf-q2_k": rest}, last)
    said: list[str] = []
    assert up(PLAN, [], said.append, owned=True, needed=PLAN.variants).failed == {}
    assert [line.split()[0] for line in said] == ["bf16-vllm", "gguf-q2_k", "gguf-q8_0"]


def test_a_comparison_never_stops_a_service_that_the_user_deployed(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs(monkeypatch, tmp_path, "other")
    with pytest.raises(DeployError, match=r"another service runs: plan small .*`make down` first"):
        up(PLAN, [], print, owned=True, needed={"bf16-vllm"})
    assert not stopped


def test_a_new_deployment_takes_the_place_of_the_old_and_says_so(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = runs(monkeypatch, tmp_path, "other")
    answers(monkeypatch, dict.fromkeys(PLAN.variants, READY))
    said: list[str] = []
    assert up(PLAN, [], said.append, owned=False, needed=PLAN.variants).started
    assert said[0] == "stopping the service that ran before (plan small at http://127.0.0.1:1)"
    assert stopped == [record]


def test_a_service_that_fits_is_used_as_it_is(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs(monkeypatch, tmp_path, "wanted")
    answers(monkeypatch, dict.fromkeys(PLAN.variants, READY))
    assert not up(PLAN, [], print, owned=True, needed=PLAN.variants).started
    assert not stopped


def fits(monkeypatch: pytest.MonkeyPatch, folder: Path, fingerprint: str, *served: str) -> None:
    """Before any work, a service with these variants and the fingerprint is held against PLAN."""
    record = replace(runs(monkeypatch, folder, fingerprint), variants=served)
    monkeypatch.setattr(module, "read_record", lambda: record)
    refuse_what_is_in_the_way([PLAN])


def test_a_service_that_fits_is_in_nobodys_way(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fits(monkeypatch, tmp_path, "wanted", *PLAN.variants)
    with pytest.raises(DeployError, match=r"since it was deployed.*code have changed.*`make down`"):
        fits(monkeypatch, tmp_path, "of other code", *PLAN.variants)
    assert not stopped


def test_a_service_of_other_variants_is_refused_before_any_work_with_both(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = r"it serves bf16-vllm, and this comparison needs bf16-vllm, gguf-q8_0, gguf-q2_k; .*down"
    with pytest.raises(DeployError, match=told):
        fits(monkeypatch, tmp_path, "wanted", "bf16-vllm")


def test_a_service_of_another_model_is_refused_before_that_model_is_quantized(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(_plan: Plan) -> str:
        raise ArtifactError("there is no manifest")

    monkeypatch.setattr(module, "fingerprint", missing)
    with pytest.raises(DeployError, match="not of this comparison's model, or was deleted"):
        fits(monkeypatch, tmp_path, "wanted", *PLAN.variants)


def test_where_nothing_runs_the_port_is_looked_at_and_what_a_dead_service_left_is_not(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looked: list[Plan] = []
    monkeypatch.setattr(module, "refuse_foreign_port", looked.append)
    refuse_what_is_in_the_way([PLAN])
    assert looked == [PLAN]
    dead = replace(runs(monkeypatch, tmp_path, "other"), host_started=0)
    monkeypatch.setattr(module, "read_record", lambda: dead)
    refuse_what_is_in_the_way([PLAN])
    assert looked == [PLAN]


@pytest.mark.parametrize(
    ("script", "code"), [("", -15), ("signal.signal(15, signal.SIG_IGN);", -9)]
)
def test_a_host_that_does_not_stop_is_killed(
    monkeypatch: pytest.MonkeyPatch, script: str, code: int
) -> None:
    monkeypatch.setattr(module, "STOP_GRACE_S", 1.0)
    command = f"import signal, time; {script} print(1, flush=True); time.sleep(300)"
    host = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE)
    with host:
        assert host.stdout is not None
        host.stdout.readline()
        module._end(host)
        assert host.returncode == code


def test_a_service_on_this_machine_does_not_stand_for_one_on_a_cluster(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = runs(monkeypatch, tmp_path, "wanted")
    answers(monkeypatch, dict.fromkeys(PLAN.variants, READY))
    served = up(PLAN, [], print, owned=False, needed=PLAN.variants, ray_address="10.0.0.1:6379")
    assert served.started
    assert stopped == [record]


def test_a_comparison_uses_what_serves_its_plan_on_a_cluster(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = replace(runs(monkeypatch, tmp_path, "wanted"), ray_address="10.0.0.1:6379")
    monkeypatch.setattr(module, "read_record", lambda: record)
    answers(monkeypatch, dict.fromkeys(PLAN.variants, READY))
    assert not up(PLAN, [], print, owned=True, needed=PLAN.variants).started
    assert not stopped


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_port_that_another_program_has_is_refused_by_name(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        occupant = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with occupant:
        plan = served_at(host, occupant.getsockname()[1])
        with pytest.raises(DeployError, match=r"serving\.port: .*another program listens there"):
            module.refuse_foreign_port(plan)
    module.refuse_foreign_port(plan)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_this_machine_does_not_have_is_no_matter_of_the_port(host: str) -> None:
    with pytest.raises(DeployError, match=r"serving\.host: .* this machine has no such address"):
        module.refuse_foreign_port(served_at(host, 8000))


def test_the_time_that_ray_takes_to_start_is_not_the_engines(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 650.0, 650.0, 651.0])
    monkeypatch.setattr("deploy.up.time.monotonic", lambda: next(clock, 652.0))
    starting, ready = (dict.fromkeys(PLAN.variants, state) for state in (STARTING, READY))
    answers(monkeypatch, {}, starting, ready)
    limits = PLAN.serving.model_copy(update={"start_timeout_s": 600})
    plan = PLAN.model_copy(update={"serving": limits})
    assert up(plan, [], print, owned=True, needed=()).failed == {}


def test_what_would_set_up_an_engine_beside_the_plan_is_named_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("VLLM_PORT", "RAY_ADDRESS", "LLAMA_CPP_LIB_PATH"):
        monkeypatch.setenv(name, "x")
    said: list[str] = []
    module.tell_of_foreign(load_plan("cpu-demo", variants="bf16-vllm,gguf-q8_0"), said.append)
    (line,) = said
    assert all(name in line for name in ("VLLM_PORT", "RAY_ADDRESS", "LLAMA_CPP_LIB_PATH"))


def test_a_host_of_ours_hears_nothing_of_the_users_cluster() -> None:
    shell = {"RAY_ADDRESS": "10.0.0.9:6379", "RAY_AUTH_MODE": "disabled", "HOME": "/root"}
    told = module.own_cluster_environment({**shell, SWITCH: "0"})
    ours = {name: value for name, value in told.items() if name.startswith("RAY_")}
    assert ours == {SWITCH: "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    assert told["HOME"] == "/root"
