"""``agreement.json``, beside an artifact's manifest: what its engines are held against."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantize.agreement.probe import Probe, ProbedArtifact, SequenceScores

AGREEMENT_NAME = "agreement.json"


class AgreementFile(BaseModel):
    """``inputs_sha256`` is the key of ``made_from``, which names the artifact that was scored.

    ``artifact`` is None where the weights have the source's 16 bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    inputs_sha256: str
    made_from: dict[str, str]
    probe: Probe
    source: dict[str, SequenceScores]
    artifact: ProbedArtifact | None


def read_agreement(artifact: Path) -> AgreementFile | None:
    """What an artifact's engines are held against; None where there is no file that can be read."""
    try:
        return AgreementFile.model_validate_json((artifact / AGREEMENT_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
