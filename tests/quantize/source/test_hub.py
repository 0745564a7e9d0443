"""The hub's client is silent until it fails, and then one line says why."""

import logging

import huggingface_hub
import pytest

from quantize.source.hub import HubError, fetched


def fail_after_an_attempt(_name: str) -> str:
    logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
    raise OSError("no such host\nlook at the manual")


def test_attempts_are_not_told_and_the_failure_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = logging.getLogger("huggingface_hub").level
    with pytest.raises(HubError) as failed:
        fetched(fail_after_an_attempt, "owner/none")
    assert str(failed.value) == "OSError: no such host"
    assert caplog.messages == []
    assert logging.getLogger("huggingface_hub").level == before


def test_a_name_that_is_none_is_refused_by_the_client_itself() -> None:
    with pytest.raises(HubError, match="HFValidationError"):
        fetched(huggingface_hub.hf_hub_download, "a/b/c", filename="config.json")
