"""An engine that computes nothing: what is measured behind it beyond its schedule was added.

It is the null server, and no engine of the product (not in ``ENGINES``): the benchmark hands its
spec to the replica that runs every other engine.
"""

from quantize.formats.engine_support import on
from quantize.recipes.catalogue import find_recipe
from services.engines.spec import EngineSpec, HeldWeights, Launch
from services.variants import Variant

NAME = "null"
# At once: any wait before the first token would hide what is added to it.
TTFT_S = 0.0
TPOT_S = 0.02


def _argv(launch: Launch) -> list[str]:
    pace = ["--ttft", str(TTFT_S), "--tpot", str(TPOT_S)]
    where = ["--port", str(launch.port), "--model", launch.served_name]
    return [str(launch.python), "-m", "loadtest.null_server", *pace, *where]


def _no_weights(body: bytes) -> HeldWeights:
    raise ValueError(f"the null engine holds none: {body[:80]!r}")


NULL_VARIANT = Variant(
    name=NAME,
    recipe=find_recipe("bf16"),
    engine=EngineSpec(
        name=NAME,
        title="the null engine",
        environment="control",
        distributions=(),
        checkpoints={"bf16": on("cpu")},
        argv=_argv,
        env=lambda _launch: {},
        health_path="/health",
        weights_request=None,
        parse_weights=_no_weights,
        expected_weight_bytes=lambda _manifest: (0, 0),
        claims=frozenset(),
        takes_key=False,
    ),
)
