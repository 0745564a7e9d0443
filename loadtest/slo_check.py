"""Whether what was measured meets an objective: the exit code of a load test in CI."""

import re
from collections.abc import Sequence
from pathlib import Path

from deploy.plan_sections import Slo
from loadtest.certificate import read_certificate
from loadtest.load_file import LOAD_NAME, REQUESTS_NAME, LoadFile
from loadtest.load_point import LoadPoint
from loadtest.records import RequestRecord, read_records
from loadtest.slo_search import TARGET_SHARE
from loadtest.summary import goodput

_LIMIT = re.compile(r"(ttft|tpot|e2e)=(\d+(?:\.\d+)?)(ms|s)")
_PLAN = "plan"
_SECONDS = {"ms": 1e-3, "s": 1.0}


class SloError(ValueError):
    """Words that are no objective, or one that asks for nothing."""


class SloMissedError(RuntimeError):
    """An objective was not met; the message says where."""


def read_slo(words: str) -> Slo:
    """The objective of ``ttft=500ms,tpot=0.05s``.

    Raises:
        SloError: the words are no such list.
    """
    limits = {}
    for word in filter(None, words.replace(" ", "").split(",")):
        found = _LIMIT.fullmatch(word)
        if found is None:
            raise SloError(f"--slo: {word!r} is none of ttft=…, tpot=…, e2e=… with ms or s")
        limits[f"{found[1]}_s"] = float(found[2]) * _SECONDS[found[3]]
    return checked(Slo.model_validate(limits), "--slo names none: write ttft=500ms,tpot=50ms")


def checked(slo: Slo, otherwise: str) -> Slo:
    """The objective, if it asks for anything.

    Raises:
        SloError: it does not; the message is ``otherwise``.
    """
    if not slo.model_dump(exclude_none=True):
        raise SloError(otherwise)
    return slo


def slo_of(words: str, planned: Slo) -> Slo:
    """The objective that the words name; ``plan`` is the plan's own.

    Raises:
        SloError: they name none, or the plan has none.
    """
    if words != _PLAN:
        return read_slo(words)
    return checked(planned, "--slo plan: objectives.slo of the plan asks for nothing")


def missed_in(folder: Path, slo: Slo) -> list[str]:
    """What ``missed`` says of the results in a folder; void figures prove nothing."""
    load = LoadFile.model_validate_json((folder / LOAD_NAME).read_bytes())
    certificate = read_certificate(folder)
    reasons = [load.why_void, certificate.why_void if certificate else ""]
    if why := "; ".join(filter(None, reasons)):
        return [f"{load.variant}: its figures are void: {why}"]
    points = [level.point for level in load.levels]
    return missed(read_records(folder / REQUESTS_NAME), points, slo, load.variant)


def missed(
    records: Sequence[RequestRecord], points: Sequence[LoadPoint], slo: Slo, name: str
) -> list[str]:
    """Where too few requests met all of it, in words; failed requests meet nothing."""
    told = []
    for point in points:
        mine = [record for record in records if record.point == point and record.counted]
        share = goodput(mine, slo).share.value if mine else 0.0
        if share < TARGET_SHARE:
            told.append(
                f"{name} at {point.label}: {100 * share:.1f} % of requests met the objective, "
                f"{100 * TARGET_SHARE:g} % must"
            )
    return told
