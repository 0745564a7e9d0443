"""The bundled model with a chat template that has tools, as most served models have."""

import json
import shutil
from pathlib import Path

from quantize.source.source_model import REFERENCE_WEIGHTS

# In the way of Hermes and Qwen, with the bundled model's own marks of turns.
TEMPLATE = """{{ bos_token }}{% if tools %}<|system|>
Tools:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}Call one as <tool_call>{"name": "…", "arguments": {…}}</tool_call>.<|end|>
{% endif %}{% for message in messages %}<|{{ message.role }}|>
{{ message.content or '' }}{% for call in message.tool_calls or [] %}<tool_call>\
{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}</tool_call>\
{% endfor %}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}"""


def make_tool_model(folder: Path) -> None:
    """Write the model to ``folder``, whatever was there before."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(REFERENCE_WEIGHTS, folder)
    path = folder / "tokenizer_config.json"
    configuration = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**configuration, "chat_template": TEMPLATE}), encoding="utf-8")
