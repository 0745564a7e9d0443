"""Text to token ids and back, as vLLM's routes do it."""

import pytest

from tests.services.server.conftest import MODEL, RunningServer

pytestmark = pytest.mark.engine


def test_a_text_comes_back_from_its_ids_with_their_control_tokens(server: RunningServer) -> None:
    told = server.client.post("/tokenize", json={"prompt": "the cat"}).json()
    assert told["count"] == len(told["tokens"]) > 1
    assert told["max_model_len"] == 512
    ids = told["tokens"]
    back = server.client.post("/detokenize", json={"model": MODEL, "tokens": ids[1:]})
    assert back.json() == {"prompt": "the cat"}
    whole = server.client.post("/detokenize", json={"tokens": ids}).json()["prompt"]
    assert whole.startswith("<s>")
    assert whole.endswith("the cat")
    bare = server.client.post("/tokenize", json={"prompt": "the cat", "add_special_tokens": False})
    assert bare.json()["tokens"] == ids[1:]


def test_messages_are_read_as_a_chat_reads_them(server: RunningServer) -> None:
    messages = [{"role": "user", "content": "hi"}]
    told = server.client.post("/tokenize", json={"messages": messages}).json()
    chat = {"model": MODEL, "messages": messages, "max_tokens": 1}
    usage = server.client.post("/v1/chat/completions", json=chat).json()["usage"]
    assert told["count"] == usage["prompt_tokens"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {}, "prompt"),
        ("/tokenize", {"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt"),
        ("/tokenize", {"prompt": "a", "model": "another"}, "model"),
        ("/tokenize", {"prompt": "a", "return_token_strs": True}, "return_token_strs"),
        ("/detokenize", {"tokens": [10**9]}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/detokenize", {"tokens": "a"}, "tokens"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    server: RunningServer, path: str, body: dict[str, object], param: str
) -> None:
    answer = server.client.post(path, json=body)
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]["param"] == param


def test_a_tokens_list_may_be_empty(server: RunningServer) -> None:
    assert server.client.post("/detokenize", json={"tokens": []}).json() == {"prompt": ""}
