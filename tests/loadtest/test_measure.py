"""The real Locust against a fake engine: what is recorded, kept, resumed and left running.

covers: loadtest/certifying.py, loadtest/failures.py, loadtest/inputs.py, loadtest/load_file.py,
loadtest/locust_process.py, loadtest/locustfile.py, loadtest/rounds.py, loadtest/run_directory.py
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.plan import Plan
from loadtest import gpu_meter, gpu_window, inputs, legs, measure, rounds
from loadtest import run_directory as run_directory_module
from loadtest.certificate import read_certificate
from loadtest.closed_loop import ClosedLoop
from loadtest.endpoint import EndpointError
from loadtest.failures import read_failures
from loadtest.job import Job
from loadtest.legs import round_order
from loadtest.load_file import LoadFile
from loadtest.locust_process import LoadTestError, run_locust
from loadtest.measure import load_test
from loadtest.neighbours import Look, NeighbourWatch
from loadtest.records import RequestRecord, read_records
from loadtest.run_directory import run_directory
from loadtest.stopping import Differences, differences
from loadtest.target import Target
from quantize.root import ROOT
from quantize.validity import code_hash
from services.gpus import nvml
from tests.assay_command import ASSAY
from tests.fake_engine import FAULTS, FakeEngine, running_engine
from tests.loadtest.examples import VARIANTS, a_plan, some_prompts, write_plan
from tests.services.gpus.recorded import H200, IDLE, Nvml

BASELINE, OTHER = VARIANTS


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with running_engine() as running:
        yield running


def only_baseline(plan: Plan) -> Plan:
    return plan.model_copy(update={"variants": (BASELINE,)})


def run(plan: Plan, results: Path) -> tuple[dict[str, str], list[str]]:
    """Run the load test; returns its failures and its lines."""
    lines: list[str] = []
    return load_test(plan, some_prompts(), say=lines.append, results=results), lines


def start(plan: Plan, results: Path) -> subprocess.Popen[str]:
    """Start the load test as a process."""
    plan_file = write_plan(plan, results / "plan.yaml")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.loadtest.load_in_process", str(plan_file), str(results)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes that are not our children; returns those still there after 20 s."""
    _, alive = psutil.wait_procs(processes, timeout=20)
    return alive


def measured(plan: Plan, results: Path, variant: str) -> tuple[LoadFile, list[RequestRecord]]:
    folder = run_directory(plan, results) / variant
    load = LoadFile.model_validate_json((folder / "load.json").read_bytes())
    return load, read_records(folder / "requests.parquet")


def test_every_request_is_recorded_and_both_variants_are_asked_the_same(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port)
    failures, lines = run(plan, tmp_path)
    assert failures == {}
    assert lines[0].startswith("1 round tells no difference between variants")
    assert len(lines) == 5
    asked = {name: [tuple(body["prompt"]) for body in engine.asked[name]] for name in VARIANTS}
    for name in VARIANTS:
        load, records = measured(plan, tmp_path, name)
        # What was in flight at the end of a leg is left, so at most one request of each user.
        assert len(records) <= len(asked[name]) == len(set(asked[name])) <= len(records) + 3
        assert {record.error for record in records} == {None}
        assert {(record.output_tokens, record.chunks) for record in records} == {(4, 4)}
        assert {len(prompt) for prompt in asked[name]} == {24}
        assert [level.point for level in load.levels] == [ClosedLoop(1), ClosedLoop(2)]
        for level in load.levels:
            # No client can be faster than the schedule it was served on.
            schedule_s = engine.ttft_s + 3 * engine.tpot_s
            assert level.requests >= 5
            assert level.output_tok_per_s.value <= level.point.users * 4 / schedule_s
        assert load.endpoint.memory_bytes == 1000 + len(asked[name])
        servers = [level.server for level in load.levels if level.server is not None]
        assert {server.window.running for server in servers if server.window} == {2.0}
    assert (run_directory(plan, tmp_path) / "locust-round0.html").stat().st_size > 1000
    # How many requests the first level sends differs; five of them count in every case.
    same = 5
    assert asked[BASELINE][:same] == asked[OTHER][:same]


class Metered(Nvml):
    """A card whose counter grows by 400 W."""

    def nvmlDeviceGetTotalEnergyConsumption(self, _card: object) -> int:
        return int(400_000 * time.monotonic())


def test_a_load_test_on_a_gpu_keeps_energy_clocks_memory_and_kernels(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "open_nvml", lambda: Metered(H200, IDLE))
    monkeypatch.setattr(rounds, "LEAST_S", 0.3)
    monkeypatch.setattr(gpu_window, "LEAST_S", 0.01)
    monkeypatch.setattr(gpu_meter, "PERIOD_S", 0.01)
    says = engine.variants[BASELINE]
    says.gpus = ({"uuid": "GPU-aaaa-1", "name": "NVIDIA H200", "memory_bytes": 7},)
    says.kernels = {"device": "gpu", "eager": True, "remarks": ["eager mode"]}
    assert run(a_plan(engine.port, concurrencies=[1]), tmp_path)[0] == {}
    plan = a_plan(engine.port, concurrencies=[1])
    load, _records = measured(plan, tmp_path, BASELINE)
    assert load.endpoint.gpu_memory_bytes == 7
    assert load.endpoint.kernels is not None
    assert load.endpoint.kernels.remarks == ("eager mode",)
    assert load.idle_power_w == pytest.approx(400, rel=0.1)
    (level,) = load.levels
    assert level.gpu is not None
    assert level.gpu.power_w == pytest.approx(400, rel=0.1)
    assert level.gpu.throttled == {"power cap": 1, "thermal, by software": 1}
    per_token = level.gpu.joules_per_output_token
    assert per_token is not None
    assert per_token.value == pytest.approx(level.gpu.power_w / level.output_tok_per_s.value)
    other, _records = measured(plan, tmp_path, OTHER)
    assert (other.levels[0].gpu, other.idle_power_w) == (None, None)


def test_rounds_on_other_kernels_are_measured_again(engine: FakeEngine, tmp_path: Path) -> None:
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    run(plan, tmp_path)
    engine.variants[BASELINE].kernels = {"device": "gpu", "eager": True}
    _failures, lines = run(plan, tmp_path)
    assert f"{BASELINE}: measured again: kernels changed" in lines


def test_a_finished_load_test_is_not_repeated_until_its_inputs_change(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    run(plan, tmp_path)
    requests = len(engine.asked[BASELINE])
    assert run(plan, tmp_path) == ({}, [f"{BASELINE}: load test cached"])
    assert len(engine.asked[BASELINE]) == requests
    engine.variants[BASELINE].artifact_sha256 = "b" * 64
    assert run(plan, tmp_path)[1][0] == f"{BASELINE}: measured again: artifact changed"
    assert measured(plan, tmp_path, BASELINE)[0].endpoint.artifact_sha256 == "b" * 64


def test_changed_code_sums_finished_rounds_again_or_measures_them_again(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    run(plan, tmp_path)
    requests = len(engine.asked[BASELINE])
    for changed, line, measures in (
        ((inputs.SUMMING,), "summed again: summing code changed", False),
        (inputs.MEASURING, "measured again: code and summing code changed", True),
    ):

        def code_sha256(*entries: str, changed: tuple[str, ...] = changed) -> str:
            return "c0de" if entries == changed else code_hash.code_sha256(*entries)

        monkeypatch.setattr(inputs, "code_sha256", code_sha256)
        assert run(plan, tmp_path)[1][0] == f"{BASELINE}: {line}"
        assert (len(engine.asked[BASELINE]) > requests) is measures


def test_a_result_that_tells_no_inputs_is_measured_again(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    run(plan, tmp_path)
    folder = run_directory(plan, tmp_path) / BASELINE
    for path in (folder / "load.json", folder / "rounds" / "0.json"):
        content = json.loads(path.read_text()) | {"schema_version": 1, "inputs_sha256": "old"}
        del content["made_from"]
        path.write_text(json.dumps(content))
    told = run(plan, tmp_path)[1]
    assert told[0] == f"{BASELINE}: measured again: it does not say what it was made from"


def test_what_goes_wrong_becomes_an_error_row_with_its_reason(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.variants[BASELINE].faults = FAULTS
    plan = only_baseline(a_plan(engine.port, concurrencies=[2], duration_s=6))
    assert run(plan, tmp_path)[0] == {}
    load, records = measured(plan, tmp_path, BASELINE)
    reasons = "\n".join(sorted({record.error for record in records if record.error}))
    for reason in (
        "HTTP 429: the queue is full",
        "HTTP 500: the engine is gone",
        "3 output tokens where 4 were forced",
        "the stream ended before [DONE]",
        "the connection broke",
        "error in the stream: out of memory",
    ):
        assert reason in reasons
    assert len(records) <= len(engine.asked[BASELINE]) <= len(records) + 2
    assert load.levels[0].errors == sum(r.counted and r.error is not None for r in records) > 0
    assert sum(load.levels[0].error_reasons.values()) == load.levels[0].errors


def test_a_variant_that_only_fails_is_reported_and_the_other_is_measured(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, concurrencies=[1], prompt_tokens=24)
    engine.variants[BASELINE].faults = ("429",)
    engine.asked[BASELINE] = _AlwaysThird()
    failures, lines = run(plan, tmp_path)
    assert list(failures) == [BASELINE]
    assert f"{BASELINE}: all " in failures[BASELINE]
    assert "HTTP 429: the queue is full" in failures[BASELINE]
    kept = read_failures(run_directory(plan, tmp_path), BASELINE)
    assert kept["load test"].startswith("all ")
    assert any(line.startswith("FAILED") for line in lines)
    assert measured(plan, tmp_path, OTHER)[0].levels[0].errors == 0
    assert not (run_directory(plan, tmp_path) / BASELINE / "load.json").exists()


class _AlwaysThird(list[dict[str, object]]):
    """Lets every request be the one that a fault befalls."""

    def __len__(self) -> int:
        return 3


def test_after_a_kill_the_finished_rounds_are_kept_and_the_rest_is_measured(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, concurrencies=[1], rounds=2, neighbour_limit=1)
    kept = run_directory(plan, tmp_path) / max(VARIANTS) / "rounds" / "0.json"
    process = start(plan, tmp_path)
    deadline = time.monotonic() + 240
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert wait_until_gone(children) == []
    content, written = kept.read_bytes(), kept.stat().st_mtime_ns
    assert not (kept.parent.parent / "load.json").exists()
    assert run(plan, tmp_path)[0] == {}
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (content, written)
    for name in VARIANTS:
        assert {record.round for record in measured(plan, tmp_path, name)[1]} == {0, 1}


def test_a_stop_leaves_nothing_running_and_nothing_half_written(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, concurrencies=[1], duration_s=30)
    process = start(plan, tmp_path)
    deadline = time.monotonic() + 240
    while not engine.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2, "the guard, and Locust under it"
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert wait_until_gone(children) == []
    left = [path.name for path in run_directory(plan, tmp_path).rglob("*") if path.is_file()]
    assert sorted(left) == ["locust-round0.log", "plan.yaml", "prompts.npz"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plan", "no-such-plan"], "no plan 'no-such-plan'"),
        (["--variants", "bf16-vlm"], "did you mean 'bf16-vllm'"),
        (["--model", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_a_user_s_mistake_is_told_without_a_traceback(options: list[str], message: str) -> None:
    done = subprocess.run(
        [*ASSAY, "loadtest", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_void_round_is_measured_again_and_the_others_are_kept(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = only_baseline(a_plan(engine.port, concurrencies=[1], rounds=2))
    run(plan, tmp_path)
    folder = run_directory(plan, tmp_path) / BASELINE
    kept = (folder / "rounds" / "0.json").read_bytes()
    make_void(folder / "rounds" / "1.json")
    (folder / "load.json").unlink()
    run(plan, tmp_path)
    assert measured(plan, tmp_path, BASELINE)[0].saturated
    (folder / "quality.json").write_text("{}")
    failures, lines = run(plan, tmp_path)
    assert (failures, len(lines)) == ({}, 3)
    assert lines[0] == (
        f"{BASELINE}: measured again, last time the load generator itself was the limit"
    )
    assert not measured(plan, tmp_path, BASELINE)[0].saturated
    assert (folder / "rounds" / "0.json").read_bytes() == kept
    assert (folder / "quality.json").exists()


def make_void(path: Path) -> None:
    content = json.loads(path.read_text())
    for level in content["levels"]:
        level["client"]["loop_lag_p95_s"] = 0.5
    path.write_text(json.dumps(content))


def test_a_variant_that_is_not_ready_is_left_out_unless_it_is_the_baseline(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, concurrencies=[1])
    engine.variants[OTHER].state = "failed"
    failures, _ = run(plan, tmp_path)
    assert list(failures) == [OTHER]
    assert "'failed'" in read_failures(run_directory(plan, tmp_path), OTHER)["load test"]
    assert measured(plan, tmp_path, BASELINE)[0].variant == BASELINE
    engine.variants[BASELINE].state = "failed"
    with pytest.raises(EndpointError, match=f"{BASELINE}: is 'failed'"):
        run(plan, tmp_path)


def test_the_variants_take_turns_within_a_round_and_never_at_the_same_time(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, rounds=2)
    assert run(plan, tmp_path)[0] == {}
    loads, rows = zip(*(measured(plan, tmp_path, name) for name in VARIANTS), strict=True)
    assert loads[0].rounds_at == loads[1].rounds_at
    assert len(set(loads[0].rounds_at.values())) == 2
    for number in range(2):
        turns: dict[tuple[float, str], list[RequestRecord]] = {}
        for record in [r for side in rows for r in side if r.round == number]:
            turns.setdefault((record.point.amount, record.variant), []).append(record)
        spans = sorted(
            (min(r.send_s for r in mine), max(r.end_s for r in mine), leg)
            for leg, mine in turns.items()
        )
        for (_, ended, _), (began, _, _) in itertools.pairwise(spans):
            assert ended <= began
        order = round_order(VARIANTS, seed=0, number=number)
        assert [leg for *_, leg in spans] == [(amount, v) for amount in (1, 2) for v in order]


@pytest.mark.parametrize("what", ["restarts", "replaced"])
def test_a_round_in_which_the_engine_was_restarted_is_void(
    engine: FakeEngine, tmp_path: Path, what: str
) -> None:
    plan = a_plan(engine.port, concurrencies=[1])
    setattr(engine.variants[OTHER], what, True)
    lines = run(plan, tmp_path)[1]
    assert measured(plan, tmp_path, BASELINE)[0].why_void == ""
    told = "the engine was restarted during 1 of 1 legs"
    assert measured(plan, tmp_path, OTHER)[0].why_void == told
    assert any(line.startswith(f"{OTHER}: its figures are void: {told}") for line in lines)


class _Scripted(NeighbourWatch):
    """A watch that says of one leg after the other what it is told to say."""

    def __init__(self, *shares: float) -> None:
        super().__init__(lambda _: False)
        self._shares = iter(shares)

    def share_since(self, before: Look) -> float:
        super().share_since(before)
        return next(self._shares)


def with_neighbours(monkeypatch: pytest.MonkeyPatch, *shares: float) -> None:
    watch = _Scripted(*shares)
    monkeypatch.setattr(rounds, "watch_service", lambda _: watch)
    monkeypatch.setattr(legs, "QUIET_LOOK_S", 0.01)


def test_a_disturbed_turn_is_measured_once_more_with_other_prompts(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first level, the second, a look whether it is quiet again, and the second once more.
    with_neighbours(monkeypatch, 0.02, 0.5, 0.01, 0.03)
    plan = only_baseline(a_plan(engine.port))
    lines = run(plan, tmp_path)[1]
    load, records = measured(plan, tmp_path, BASELINE)
    assert load.why_void == ""
    assert sum("VOID: other programs used 50 % of the processors" in line for line in lines) == 1
    assert [line.split("1/1")[1].split()[0] for line in lines[1:]] == ["1", "2", "2"]
    assert len(records) < len(engine.asked[BASELINE])
    prompts = [tuple(body["prompt"]) for body in engine.asked[BASELINE]]
    assert len(set(prompts)) == len(prompts)


def test_beside_neighbours_who_stay_there_is_no_second_try(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_neighbours(monkeypatch, *[0.5] * 1000)
    monkeypatch.setattr(legs, "QUIET_WAIT_S", 0.03)
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    lines = run(plan, tmp_path)[1]
    load, records = measured(plan, tmp_path, BASELINE)
    assert load.why_void.startswith("other programs used up to 50 % of the processors")
    assert "no second try: other programs still use 50 % of the processors" in lines
    assert len(records) <= len(engine.asked[BASELINE]) <= len(records) + 1


def test_a_turn_that_stays_disturbed_is_void_until_the_machine_is_quiet(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_neighbours(monkeypatch, 0.5, 0.02, 0.4)
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    run(plan, tmp_path)
    why = "other programs used up to 40 % of the processors in 1 of 1 legs (10 % are allowed)"
    assert measured(plan, tmp_path, BASELINE)[0].why_void == why
    with_neighbours(monkeypatch, 0.02)
    assert run(plan, tmp_path)[1][0] == f"{BASELINE}: measured again, last time {why}"
    assert measured(plan, tmp_path, BASELINE)[0].why_void == ""


def test_what_is_measured_again_is_asked_with_prompts_that_no_cache_holds(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "QUIET_WAIT_S", 0.03)
    plan = only_baseline(a_plan(engine.port, concurrencies=[1]))
    for shares in ([0.5] * 1000, [0.02]):
        with_neighbours(monkeypatch, *shares)
        run(plan, tmp_path)
    assert measured(plan, tmp_path, BASELINE)[0].why_void == ""
    prompts = [tuple(body["prompt"]) for body in engine.asked[BASELINE]]
    assert len(set(prompts)) == len(prompts)


def test_services_that_are_started_one_after_the_other_are_asked_the_same_prompts(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = a_plan(engine.port, concurrencies=[1])
    for number, name in enumerate((BASELINE, OTHER)):
        monkeypatch.setattr(run_directory_module, "_service_at", lambda _, n=number: str(n))
        run(plan.model_copy(update={"variants": (name,), "baseline": name}), tmp_path)
    first, second = (engine.asked[name][0]["prompt"] for name in (BASELINE, OTHER))
    assert first == second


def test_an_early_stop_is_decided_by_the_rounds_that_the_report_counts(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "QUIET_WAIT_S", 0.03)
    plan = a_plan(engine.port, concurrencies=[1], rounds=3)
    seen: list[dict[str, int]] = []

    def looked(plan: Plan, targets: Mapping[str, Target], number: int) -> Differences:
        found = differences(plan, targets, number)
        seen.append({name: len(ratios) for name, ratios in found.items()})
        return found

    monkeypatch.setattr(measure, "differences", looked)
    with_neighbours(monkeypatch, *[0.5] * 1000)
    run(plan, tmp_path)
    # Where all are disturbed, leaving them out would hide what the machine is.
    assert seen == [{OTHER: 1}, {OTHER: 2}]


def test_one_of_three_rounds_that_stays_disturbed_does_not_count_in_any_figure(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first round, the second, a look that finds it quiet, the second once more, the third.
    with_neighbours(monkeypatch, 0.02, 0.5, 0.02, 0.4, 0.02)
    plan = only_baseline(a_plan(engine.port, concurrencies=[1], rounds=3))
    run(plan, tmp_path)
    load, records = measured(plan, tmp_path, BASELINE)
    assert load.why_void == ""
    assert load.left_out.startswith("1 of 3 legs do not count: other programs used up to 40 %")
    assert {record.round for record in records} == {0, 2}
    assert load.levels[0].requests == len([r for r in records if r.counted])


def test_the_client_is_certified_before_and_after_at_the_fastest_pace(
    engine: FakeEngine, tmp_path: Path
) -> None:
    plan = a_plan(engine.port, concurrencies=[2])

    def tested() -> list[str]:
        done: list[str] = []
        load_test(plan, some_prompts(), say=done.append, results=tmp_path, certifying=True)
        return done

    lines = tested()
    folder = run_directory(plan, tmp_path)
    found = [read_certificate(folder / name) for name in VARIANTS]
    assert found[0] is not None
    assert found[0] == found[1]
    (before,), (after,) = found[0].before, found[0].after
    levels = [measured(plan, tmp_path, name)[0].levels[0] for name in VARIANTS]
    assert before.pace.ttft_s == 0.05
    assert after.pace.ttft_s == min(level.ttft_s["p50"].value for level in levels)
    assert after.pace.gap_s == min(level.tpot_s["p50"].value for level in levels)
    assert any(line.startswith("2 streams: the client adds") for line in lines)
    if not found[0].why_void:
        assert tested() == [f"{name}: load test cached" for name in (BASELINE, OTHER)]


def test_a_load_test_that_is_free_to_stops_when_all_is_decided(
    engine: FakeEngine, tmp_path: Path
) -> None:
    free = {"stop_early": True, "equal_within": 2.0, "rounds": 30}
    plan = a_plan(engine.port, concurrencies=[1], duration_s=0.1, **free)
    lines = run(plan, tmp_path)[1]
    decided = [line for line in lines if line.startswith("every comparison is decided after")]
    loads = [measured(plan, tmp_path, name)[0] for name in VARIANTS]
    rounds_done = len(loads[0].rounds_at)
    assert decided == [f"every comparison is decided after {rounds_done} rounds"]
    assert 3 < rounds_done < 30
    assert loads[0].rounds_at == loads[1].rounds_at
    assert any("measured); about" in line for line in lines)
    assert run(plan, tmp_path)[1] == [f"{name}: load test cached" for name in (BASELINE, OTHER)]


def test_an_open_loop_sends_when_due_and_the_same_for_every_variant(
    engine: FakeEngine, tmp_path: Path
) -> None:
    content = a_plan(engine.port).model_dump(mode="json")
    content["load"] = {
        "kind": "poisson",
        "rates_per_s": [40],
        "rounds": 2,
        "duration_s": 0.6,
        "warmup_s": 0.1,
        "prompt_tokens": 24,
        "output_tokens": 4,
    }
    plan = Plan.model_validate(content)
    assert run(plan, tmp_path)[0] == {}
    schedules = []
    for name in VARIANTS:
        load, records = measured(plan, tmp_path, name)
        assert load.levels[0].service_e2e_s["p50"].value <= load.levels[0].e2e_s["p50"].value
        for number in range(2):
            due = sorted(r.scheduled_s for r in records if r.round == number)
            schedules.append([round(time_s - due[0], 6) for time_s in due][:12])
        assert all(record.send_lag_s >= 0 for record in records)
    assert schedules[:2] == schedules[2:]
    assert schedules[0] != schedules[1]


def test_a_variant_that_breaks_locust_fails_alone_and_the_others_go_on(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_locust

    def breaking(job: Job, **how: Any) -> None:
        """Locust as it is, but that it ends when the turn of one variant comes."""
        until = next((n for n, leg in enumerate(job.legs) if leg.variant == OTHER), len(job.legs))
        if until:
            real(job.model_copy(update={"legs": job.legs[:until]}), **how)
        if until < len(job.legs):
            raise LoadTestError(f"{OTHER}: Locust ended early: killed", variant=OTHER)

    monkeypatch.setattr(legs, "run_locust", breaking)
    plan = a_plan(engine.port, rounds=2)
    assert run(plan, tmp_path)[0] == {OTHER: f"{OTHER}: Locust ended early: killed"}
    load, records = measured(plan, tmp_path, BASELINE)
    assert [level.point.amount for level in load.levels] == [1, 2]
    assert {record.round for record in records} == {0, 1}
    assert {record.variant for record in records} == {BASELINE}
    prompts = [tuple(body["prompt"]) for body in engine.asked[BASELINE]]
    assert len(set(prompts)) == len(prompts)
