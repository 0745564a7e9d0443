"""Whether the load generator could be what limits the servers: its pace against a null server."""

from loadtest.null_server import null_server
from tests.benches.harness.bench_figures import Figure, at_least
from tests.benches.harness.raw_client import closed_loop, post
from tests.benches.harness.received import tokens_per_second

# The null server runs in Python as well, so what the two reach together is the least the client
# alone can do.
_HEADROOM = 2.0
_CONCURRENCY, _REQUESTS, _TOKENS, _TIMEOUT_S = 16, 320, 64, 60.0


def client_figure(fastest_tok_per_s: float) -> Figure:
    """Events per second of client and null server, against the fastest server measured."""
    body = {"prompt": [1], "max_tokens": _TOKENS, "stream": True}
    with null_server(ttft_s=0, tpot_s=0) as port:
        requests = [post("/v1/completions", "", body)] * _REQUESTS
        answers = closed_loop(port, requests, _CONCURRENCY, _TIMEOUT_S)
    value = tokens_per_second(answers, _REQUESTS * _TOKENS)
    name = "client against a null server, c=16 streamed"
    return at_least(name, value, "tok/s", _HEADROOM * fastest_tok_per_s, fastest_tok_per_s)
