"""Merges the finished rounds of a variant into ``requests.parquet`` and ``load.json``."""

from collections import Counter
from collections.abc import Mapping, Sequence

from deploy.plan_load import Load
from loadtest.gpu_summary import mean_power_w, summarize_gpus
from loadtest.job import ClientHealth, LevelEnd
from loadtest.load_file import (
    LOAD_NAME,
    REQUESTS_NAME,
    LevelSummary,
    LoadFile,
    RoundFile,
    ServerLoad,
)
from loadtest.load_kinds import points_of
from loadtest.load_point import LoadPoint
from loadtest.records import RequestRecord, read_records, write_records
from loadtest.server_window import joined_windows
from loadtest.summary import (
    answers,
    counted,
    gap_percentiles,
    output_throughput,
    parts,
    percentiles,
    request_rate,
    stalls,
)
from loadtest.target import Target, write_result
from loadtest.validity import CLIENT, left_out_words, undisturbed, void_reasons
from quantize.validity.made_from import key_of

_Leg = tuple[int, LoadPoint]


def finish(
    load: Load, target: Target, *, stress: Sequence[Load] = (), rounds: int | None = None
) -> LoadFile | None:
    """Write the variant's result files, ``load.json`` last; None while a round is missing.

    ``rounds`` is how many a load test that stopped early went through.
    """
    numbers = range(load.rounds if rounds is None else rounds)
    stored = [target.read(RoundFile, target.round_file(n, "json")) for n in numbers]
    finished = [result for result in stored if result is not None]
    if len(finished) < len(stored):
        return None
    ends = {
        (n, end.point): end
        for n, item in zip(numbers, finished, strict=True)
        for end in item.levels
    }
    kept = {leg: end for part in (load, *stress) for leg, end in _kept(ends, part).items()}
    own = {leg: end for leg, end in ends.items() if leg[1].kind == load.kind}
    counting = [end for leg, end in own.items() if leg in kept]
    records = [
        record
        for n in numbers
        for record in read_records(target.round_file(n, "parquet"))
        if (n, record.point) in kept
    ]
    most = most_memory([item.endpoint.memory_bytes for item in finished])
    result = LoadFile(
        variant=target.endpoint.variant,
        inputs_sha256=key_of(target.summed_from),
        made_from=dict(target.summed_from),
        endpoint=finished[-1].endpoint.model_copy(update={"memory_bytes": most}),
        load=load,
        levels=_summaries(load, records, [*kept.values()]),
        stress=[it for other in stress for it in _summaries(other, records, [*kept.values()])],
        saturated=any(end.client.saturated for end in counting),
        void=void_reasons(counting, load.neighbour_limit),
        left_out=left_out_words(
            [end for leg, end in own.items() if leg not in kept], len(own), load.neighbour_limit
        ),
        rounds_at={number: item.started_at for number, item in enumerate(finished)},
        started_at=min(item.started_at for item in finished),
        seconds=sum(item.seconds for item in finished),
        locust_version=finished[-1].locust_version,
        idle_power_w=mean_power_w([item.idle_gpus for item in finished if item.idle_gpus]),
    )
    write_records(target.directory / REQUESTS_NAME, records)
    write_result(target.directory / LOAD_NAME, result)
    return result


def _kept(ends: Mapping[_Leg, LevelEnd], load: Load) -> dict[_Leg, LevelEnd]:
    """The legs of a section that count, by round and load point."""
    return {
        leg: ends[leg]
        for point in points_of(load)
        for leg in undisturbed(
            {leg: end for leg, end in ends.items() if leg[1] == point}, load.neighbour_limit
        )
    }


def _summaries(
    load: Load, records: Sequence[RequestRecord], ends: Sequence[LevelEnd]
) -> list[LevelSummary]:
    """The figures of every load point of a section at which any request counted."""
    found = []
    for point in points_of(load):
        mine = [record for record in records if record.point == point]
        if any(record.counted for record in mine):
            here = [end for end in ends if end.point == point]
            found.append(summarize_level(mine, here, load=load))
    return found


def most_memory(readings: Sequence[int | None]) -> int | None:
    """The largest of several readings in bytes; None where one failed, as it may be the largest."""
    known = [reading for reading in readings if reading is not None]
    return max(known) if known and len(known) == len(readings) else None


def summarize_level(
    records: Sequence[RequestRecord], ends: Sequence[LevelEnd], *, load: Load
) -> LevelSummary:
    """The figures of one load point over all its rounds."""
    kept, seed = counted(records), load.seed
    good = [record for record in kept if record.error is None]
    chunks = sum(record.chunks for record in good)
    speed = output_throughput(kept, seed=seed)
    thought = any((r.first_answer_s or 0.0) > (r.first_token_s or 0.0) for r in good)
    return LevelSummary(
        point=kept[0].point,
        requests=len(kept),
        errors=len(kept) - len(good),
        error_reasons=dict(Counter(r.error for r in kept if r.error is not None)),
        counted_s=sum(end.counted_s for end in ends),
        ttft_s=percentiles(kept, "ttft_s", seed=seed),
        ttfo_s=percentiles(kept, "ttfo_s", seed=seed) if thought else {},
        tpot_s=percentiles(kept, "tpot_s", seed=seed),
        e2e_s=percentiles(kept, "e2e_s", seed=seed),
        gap_s=gap_percentiles(kept, seed=seed),
        stalls=stalls(kept),
        output_tok_per_s=speed,
        request_per_s=request_rate(kept, seed=seed),
        tokens_per_chunk=sum(r.output_tokens for r in good) / chunks if chunks else None,
        service_e2e_s=(
            percentiles(kept, "service_e2e_s", seed=seed) if kept[0].point.counts_from_due else {}
        ),
        answers=answers(kept, seed=seed) if load.natural_length else None,
        parts=parts(kept),
        # The worst round decides: a figure is no better than its worst part.
        client=ClientHealth(
            cpu_share_p95=max(end.client.cpu_share_p95 for end in ends),
            loop_lag_p95_s=max(end.client.loop_lag_p95_s for end in ends),
        ),
        gpu=summarize_gpus([end.gpus for end in ends], speed),
        server=_server(ends),
        void=_void(ends, load),
    )


def _server(ends: Sequence[LevelEnd]) -> ServerLoad | None:
    """The server's side of a load point; None where nothing was told."""
    window = joined_windows([end.server for end in ends if end.server is not None])
    cores = [
        max(0.0, end.own_cores - (end.client.cpu_s or 0.0) / end.counted_s)
        for end in ends
        if end.own_cores is not None and end.counted_s > 0
    ]
    if window is None and not cores:
        return None
    return ServerLoad(window=window, cores=sum(cores) / len(cores) if cores else None)


def _void(ends: Sequence[LevelEnd], load: Load) -> list[str]:
    saturated = [CLIENT] if any(end.client.saturated for end in ends) else []
    return [*saturated, *void_reasons(ends, load.neighbour_limit)]
