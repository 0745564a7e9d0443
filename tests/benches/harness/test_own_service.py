"""A benchmark's own service is nobody else's: on loopback, and without keys."""

from pathlib import Path

import pytest
import yaml

from deploy.api_keys import require_keys
from deploy.client_key import client_headers
from tests.benches.harness import own_service
from tests.benches.harness.own_service import own_plan


def test_a_plan_for_others_is_served_on_loopback_without_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_service, "RUN_DIR", tmp_path / "run")
    monkeypatch.setenv("ASSAY_API_KEY", "k" * 32)
    monkeypatch.setenv("ASSAY_API_KEYS", "k" * 32)
    monkeypatch.setenv("OTHERS_KEYS", "k" * 32)
    serving = {"host": "0.0.0.0", "api_keys_env": "OTHERS_KEYS", "api_keys_file": "/none"}
    content = {"name": "others", "variants": ["gguf-q8_0"], "baseline": "gguf-q8_0"}
    path = tmp_path / "others.yaml"
    path.write_text(yaml.safe_dump({**content, "serving": serving}))
    plan = own_plan(str(path), None, 8123)
    assert plan.serving.url == "http://127.0.0.1:8123"
    assert plan.serving.host == "127.0.0.1"
    assert require_keys(plan.serving) == ()
    assert client_headers() == {}
