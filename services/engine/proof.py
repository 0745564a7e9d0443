"""Hold what an engine says it has loaded against what the artifact's manifest promises."""

import aiohttp

from quantize.artifact.manifest import ArtifactError, Manifest
from services.engine.child import EngineChild
from services.engines.spec import EngineSpec, HeldWeights


async def until_proven(
    child: EngineChild, session: aiohttp.ClientSession, timeout_s: float
) -> HeldWeights | None:
    """Wait until a started engine is ready, and return what it holds: what its artifact promises.

    None where the engine has no way to tell.

    Raises:
        EngineError: it is not ready in time, or does not answer the question.
        ArtifactError: it holds something else.
    """
    await child.wait_ready(session, timeout_s)
    held = await child.held_weights(session)
    if held is not None:
        prove_weights(child.spec, child.launch.manifest, held)
    return held


def prove_weights(spec: EngineSpec, manifest: Manifest, held: HeldWeights) -> None:
    """Refuse an engine that holds other weights than the manifest promises.

    Catches a quantized checkpoint that an engine silently serves unquantized: the sizes differ
    by the ratio of the formats.

    Raises:
        ArtifactError: naming both sizes and the engine's own names for its layers.
    """
    low, high = spec.expected_weight_bytes(manifest)
    if low <= held.weight_bytes <= high:
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(held.kinds.items()))
    raise ArtifactError(
        f"{manifest.recipe}: {spec.title} holds {held.weight_bytes / 1e6:.1f} MB of weights "
        f"({kinds}), the manifest promises {manifest.weight_bytes / 1e6:.1f} MB at "
        f"{manifest.bits_per_weight:.2f} bits per weight: it does not serve what the artifact "
        "says; delete the artifact and run `make quantize`"
    )
