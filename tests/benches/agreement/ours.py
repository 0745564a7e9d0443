"""Our load test at the same endpoint, and throughput as the others define it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from deploy.plan_load import ClosedLoopLoad
from loadtest.any_endpoint.endpoint_load import Asked, load_endpoint
from loadtest.any_endpoint.probe import Found
from loadtest.dialect import Dialect
from loadtest.load_file import REQUESTS_NAME
from loadtest.other_tools.side_by_side import rows_of_ours
from loadtest.records import RequestRecord, read_records
from loadtest.texts import exact_texts, new_mark
from quantize.calibration.calibration_set import BUNDLED_TEXT, read_texts
from tests.benches.agreement.peers import Ask

BY_EDGES = "tok/s by edges"
WARMUP_S = 0.5
TRIES = 2


def edge_rate(records: Sequence[RequestRecord]) -> float:
    """Throughput as the others define it: tokens / (last response - first send)."""
    good = [record for record in records if record.error is None]
    seconds = max(r.end_s for r in good) - min(r.send_s for r in good)
    return sum(r.output_tokens for r in good) / seconds


def measure_ours(ask: Ask, seconds: float) -> dict[str, float]:
    """What our load test says of the endpoint in so many seconds, in the columns of the table.

    What is void is measured once more.

    Raises:
        LoadTestError: Locust failed, or nothing was answered.
        ValueError: the figures are void each time.
    """
    for _ in range(TRIES):
        figures, why_void = _measure(ask, seconds)
        if not why_void:
            return figures
    raise ValueError(f"our own figures are void: {why_void}")


def _measure(ask: Ask, seconds: float) -> tuple[dict[str, float], str]:
    load = ClosedLoopLoad(
        concurrencies=(ask.streams,),
        rounds=1,
        warmup_s=WARMUP_S,
        duration_s=seconds,
        prompt_tokens=ask.prompt_tokens,
        output_tokens=ask.output_tokens,
    )
    dialect = Dialect(api="completions", model=ask.model)
    with tempfile.TemporaryDirectory(prefix="assay-agreement-") as name:
        asked = Asked(
            url=f"{ask.root}/v1",
            key="",
            found=Found(dialect=dialect, server="", remarks=()),
            load=load,
            texts=exact_texts(
                read_texts(BUNDLED_TEXT),
                ask.prompt_tokens - _added_by_server(ask.tokenizer),
                ask.tokenizer,
                new_mark(),
            ),
            folder=Path(name),
        )
        found, certificate = load_endpoint(asked, lambda _: None)
        records = read_records(Path(name) / REQUESTS_NAME)
    figures = {**rows_of_ours(found)[0].figures, BY_EDGES: edge_rate(records)}
    return figures, found.why_void or certificate.why_void


def _added_by_server(tokenizer: Path) -> int:
    """BOS, where the model has one: in the others' prompts it is one of so many tokens."""
    return len(Tokenizer.from_file(str(tokenizer / "tokenizer.json")).encode("").ids)
