"""The ENGINES table."""

from collections.abc import Mapping
from types import MappingProxyType

from services.engines.llamacpp_engine import LLAMACPP
from services.engines.spec import EngineSpec
from services.engines.transformers_engine import TRANSFORMERS
from services.engines.trtllm_engine import TRTLLM
from services.engines.vllm_engine import VLLM

ENGINES: Mapping[str, EngineSpec] = MappingProxyType(
    {engine.name: engine for engine in (VLLM, TRTLLM, LLAMACPP, TRANSFORMERS)}
)
