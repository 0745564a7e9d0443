"""What schemathesis imports in its own environment: every exchange is judged and written down.

``ASSAY_FUZZ_ROWS`` names the JSONL file. Our own rules (``exchange.faults``) are applied by the
benchmark to what is read from it.
"""

import json
import os
import threading

import schemathesis

from tests.benches.fuzz.exchange import Exchange, faults, shown

ROWS = os.environ["ASSAY_FUZZ_ROWS"]
_LOCK = threading.Lock()


@schemathesis.hook  # type: ignore[untyped-decorator]
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response
) -> None:
    """Append one row: case, route, status, faults."""
    meta = getattr(getattr(case, "meta", None), "generation", None)
    mode = getattr(getattr(meta, "mode", None), "value", "?")
    exchange = Exchange(
        source="schemathesis",
        case=f"schema, {mode}",
        method=case.method.upper(),
        path=case.path,
        status=response.status_code,
        headers={name.lower(): ", ".join(value) for name, value in response.headers.items()},
        body=response.content or b"",
    )
    request = response.request
    row = {
        "case": exchange.case,
        "method": exchange.method,
        "path": exchange.path,
        "status": exchange.status,
        "faults": faults(exchange),
        "asked": repr(request.body)[:2000],
        "answered": shown(exchange),
    }
    with _LOCK, open(ROWS, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
