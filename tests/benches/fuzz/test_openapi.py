from services.server.protocol import ChatBody, CompletionBody
from tests.benches.fuzz.openapi import document


def test_the_document_has_every_field_of_the_models_and_every_route() -> None:
    found = document(["a", "b"])
    schemas = found["components"]["schemas"]
    assert set(schemas["CompletionBody"]["properties"]) == set(CompletionBody.model_fields)
    assert set(schemas["ChatBody"]["properties"]) == set(ChatBody.model_fields)
    assert schemas["ChatBody"]["properties"]["model"] == {"enum": ["a", "b"]}
    assert schemas["ChatBody"]["required"] == ["model", "messages", "max_tokens"]
    for prefix in ("", "/a", "/b"):
        assert "post" in found["paths"][f"{prefix}/v1/completions"]
        assert "get" in found["paths"][f"{prefix}/metrics"]


def test_every_reference_leads_somewhere() -> None:
    found = document(["a"])

    def check(value: object) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                name = value["$ref"].removeprefix("#/components/schemas/")
                assert name in found["components"]["schemas"]
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(found)
