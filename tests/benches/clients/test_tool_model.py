"""The bundled model learns to be asked with tools, and is the same model otherwise."""

import json
from pathlib import Path

from quantize.source.source_model import REFERENCE_WEIGHTS
from services.http.tool_calls import OPEN
from services.http.tools import writes_tools
from tests.benches.clients.tool_model import make_tool_model


def test_only_the_template_is_another(tmp_path: Path) -> None:
    make_tool_model(tmp_path / "model")
    make_tool_model(tmp_path / "model")
    source = json.loads((REFERENCE_WEIGHTS / "tokenizer_config.json").read_text())
    made = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    template = made.pop("chat_template")
    assert not writes_tools(source.pop("chat_template"))
    assert writes_tools(template)
    assert OPEN in template
    assert made == source
    assert {p.name for p in REFERENCE_WEIGHTS.iterdir()} == {
        p.name for p in (tmp_path / "model").iterdir()
    }
