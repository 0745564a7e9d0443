"""Plans that ask the texts."""

from deploy.plan import Plan


def _plan(tasks: list[str], texts: int, context_length: int = 1024) -> Plan:
    return Plan.model_validate(
        {
            "name": "texts",
            "variants": ["bf16-vllm"],
            "baseline": "bf16-vllm",
            "serving": {"context_length": context_length},
            "quality": {"tasks": tasks, "divergence": texts},
        }
    )


def own(texts: int) -> Plan:
    """The bundled model's own."""
    return _plan(["assay_text"], texts)


def general(*more: str, context_length: int = 1024) -> Plan:
    """General ones."""
    return _plan(["assay_general_text", *more], 200, context_length)
