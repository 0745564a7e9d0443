"""An engine outside Ray lasts as long as its block, and what goes wrong comes with its log."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import aiohttp
import pytest

from quantize.artifact.manifest import ArtifactError
from quantize.recipes.catalogue import RECIPES
from services.engine.child import EngineError
from services.engine.engine_settings import EngineSettings
from services.engine.running import RunningEngine, running
from services.variants import Variant
from tests.services.engine.test_child import spec
from tests.services.test_variants import MANIFEST

SETTINGS = EngineSettings(
    artifact="artifact",
    python="python",
    context_length=512,
    max_sequences=2,
    threads=1,
    kv_cache_gib=1,
    start_timeout_s=30,
)


@contextmanager
def started(*options: str) -> Iterator[RunningEngine]:
    variant = Variant(name="some-variant", recipe=RECIPES["bf16"], engine=spec(*options))
    with running(variant, SETTINGS, check=lambda _artifact: MANIFEST) as engine:
        yield engine


def test_an_engine_is_ready_and_proven_in_its_block_and_gone_after_it() -> None:
    with started() as engine:
        request = urllib.request.Request(f"{engine.url}/v1/models", headers=dict(engine.headers))
        with urllib.request.urlopen(request) as answer:
            assert engine.model.encode() in answer.read()
        with pytest.raises(HTTPError, match="401"):
            urllib.request.urlopen(f"{engine.url}/v1/models")
        assert engine.held is not None
        assert engine.manifest is MANIFEST
        assert engine.process.poll() is None
    assert engine.process.poll() is not None


def test_an_engine_that_dies_while_starting_is_told_with_its_log() -> None:
    with pytest.raises(EngineError, match="fake engine is up"), started("--die-after", "0"):
        pass


def test_an_engine_that_holds_other_weights_never_reaches_the_block() -> None:
    reached = []
    with pytest.raises(ArtifactError, match="does not serve"), started("--weights", "[1, 2]"):
        reached.append(True)
    assert not reached


def test_an_engine_that_stops_answering_is_told_with_its_log() -> None:
    with pytest.raises(EngineError, match=r"(?s)Fake: .*refused.*fake engine is up"), started():
        raise aiohttp.ClientConnectionError("refused")


def test_a_failure_of_another_kind_passes_and_ends_the_engine() -> None:
    seen: list[RunningEngine] = []

    def fail() -> None:
        with started() as engine:
            seen.append(engine)
            raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        fail()
    assert seen[0].process.poll() is not None


def test_the_artifact_is_checked_before_anything_starts(tmp_path: Path) -> None:
    variant = Variant(name="some-variant", recipe=RECIPES["bf16"], engine=spec())
    with (
        pytest.raises(ArtifactError, match="no finished artifact"),
        running(variant, EngineSettings(**{**vars(SETTINGS), "artifact": str(tmp_path)})),
    ):
        pass
