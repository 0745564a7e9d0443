"""How fast a card reads its memory and multiplies matrices; known on both sides of the process."""

from pydantic import BaseModel, ConfigDict

from quantize.jobs.job_module import JobModule, Progress


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RatesRequest(_Message):
    """What is measured with: a block of ``read_bytes`` that is read, square matrices of ``size``.

    ``device`` is torch's name; every rate is the median of ``repeats``.
    """

    device: str = "cuda"
    read_bytes: int = 4 << 30
    size: int = 8192
    repeats: int = 15


class DeviceRates(_Message):
    """A card's rates as torch reaches them.

    ``matrix_flop_per_s`` is by what is multiplied (bf16, fp8, int8; a product and a sum are two
    operations): what this torch or this card cannot multiply is absent.
    """

    name: str
    capability: str | None
    torch: str
    read_bytes_per_s: float
    matrix_flop_per_s: dict[str, float]


RATES = JobModule(
    module="services.gpus.in_vllm.measure_rates",
    environment="vllm",
    request=RatesRequest,
    tells=(Progress,),
    reply=DeviceRates,
)
