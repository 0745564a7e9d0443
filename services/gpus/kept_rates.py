"""A card's measured rates, measured once and kept beside the environments."""

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.jobs.environment import installed_version, tool_variables
from quantize.jobs.failure import ToolError
from quantize.jobs.whole_file import write_whole
from quantize.jobs.worker import run_job
from quantize.processors import usable_cpus
from quantize.root import VENVS
from quantize.validity.code_hash import code_sha256
from quantize.validity.made_from import key_of, parts_of
from services.gpus.rates_job import RATES, DeviceRates, RatesRequest

FOLDER = VENVS / "cache" / "rates"


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    rates: DeviceRates


def device_rates(
    uuid: str,
    say: Callable[[str], None],
    *,
    busy: bool = False,
    request: RatesRequest | None = None,
    folder: Path = FOLDER,
) -> DeviceRates | None:
    """The rates of the card of that UUID, which must be the first that CUDA shows us.

    Measured where they are not kept or were measured by another torch or other code: that takes
    some seconds, and nothing else may use the card meanwhile (``busy``: something does). None, and
    a line, where they cannot be measured: nothing depends on them but the distance from the limit.
    """
    assert RATES.environment is not None
    request = request or RatesRequest()
    try:
        torch = installed_version(RATES.environment, "torch")
        code = code_sha256(RATES.module)
        key = key_of(parts_of(card=uuid, torch=torch, code=code, asked=request.model_dump()))
        path = folder / f"{uuid}.json"
        kept = _read(path)
        if kept is not None and kept.key == key:
            return kept.rates
        if busy:
            say("the card's own rates are unknown, and a service is using it: no distance is told")
            return None
        folder.mkdir(parents=True, exist_ok=True)
        variables = tool_variables(usable_cpus())
        done = run_job(RATES, request, log=folder / "rates.log", variables=variables)
        write_whole(path, _Kept(key=key, rates=done.reply).model_dump_json(indent=1) + "\n")
    except (OSError, ToolError) as error:
        say(f"the card's own rates are unknown, so no distance from them is told: {error}")
        return None
    return done.reply


def _read(path: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
