from tests.benches.harness.openai_error import is_openai_error


def test_openais_error_has_a_message_and_a_type() -> None:
    assert is_openai_error(b'{"error": {"message": "a", "type": "b"}}')
    assert not is_openai_error(b'{"error": {"message": "a"}}')
    assert not is_openai_error(b"[" * 100_000)
