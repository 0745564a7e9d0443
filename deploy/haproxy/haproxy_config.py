"""What we change in the configuration that Ray Serve writes for HAProxy.

Serve's template (``ray/serve/_private/haproxy_templates.py``, 2.60) opens two unguarded pages on
all interfaces at fixed ports, makes the admin socket everybody's, logs every request to a syslog
that nobody runs, and answers its own errors in plain text. It has no settings for these, so the
text is changed on its way to HAProxy, section by section.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ERROR_CODES = (400, 401, 404, 405, 408, 413, 429, 500, 502, 503, 504)
_SECTION = re.compile(r"^(global|defaults|frontend|backend|listen)\b")
_DROPPED = frozenset({"frontend prometheus", "listen stats"})
# Per request. Serve watches for clients that leave; so does the relay, and once is enough.
_REQUEST_RULES = (
    "unique-id-format %[uuid]",
    "http-request set-header x-request-id %[unique-id] if !{ req.fhdr(x-request-id) -m len gt 0 }",
    "http-request set-var(txn.assay_id) req.fhdr(x-request-id)",
    "http-after-response set-header x-request-id %[var(txn.assay_id)]"
    " if !{ res.hdr(x-request-id) -m found }",
    "http-request set-header x-request-disconnect-disabled ?1",
)


class HAProxyConfigError(RuntimeError):
    """Serve's configuration is not the one that this file knows how to change."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where HAProxy listens (``host:port``), and the folder with ``<code>.http`` for its errors."""

    bind: str
    errors: Path
    keyed: bool


def adapt(config: str, site: Site) -> str:
    """The same configuration, listening at ``site`` alone.

    Raises:
        HAProxyConfigError: a line that must be changed is not there: Ray's template has changed.
    """
    seen: set[str] = set()
    lines = list(_adapted(config, site, seen))
    if missing := {"socket", "bind", "errorfile", "routes", "default"} - seen:
        raise HAProxyConfigError(
            f"Ray Serve's HAProxy configuration has changed, nothing found for: {sorted(missing)}; "
            "set RAY_SERVE_ENABLE_HA_PROXY=0, or pin Ray as deploy/envs/control.txt does"
        )
    return "\n".join(lines) + "\n"


def _adapted(config: str, site: Site, seen: set[str]) -> Iterator[str]:
    section = ""
    unrouted = 401 if site.keyed else 404
    for line in config.splitlines():
        words = line.split()
        if _SECTION.match(line):
            section = " ".join(words[:2])
        if section in _DROPPED:
            continue
        match section, words:
            case "global", ["log", *_]:
                continue
            case "global", ["stats", "socket", path, *_]:
                seen.add("socket")
                yield f"    stats socket {path} mode 600 level admin expose-fd listeners"
            case "defaults", ["errorfile", *_]:
                if "errorfile" not in seen:
                    yield from (f"    errorfile {n} {site.errors}/{n}.http" for n in ERROR_CODES)
                seen.add("errorfile")
            case "defaults", ["option", "httplog"]:
                continue
            case "frontend http_frontend", ["bind", *_]:
                seen.add("bind")
                yield f"    bind {site.bind}"
                yield from (f"    {rule}" for rule in _REQUEST_RULES)
                # What names no path (``OPTIONS *``) matches no route either.
                yield f"    http-request deny deny_status {unrouted} if !{{ path -m beg / }}"
            case "frontend http_frontend", ["http-request", "return", *_, "if", "routes"]:
                seen.add("routes")
                yield f"    http-request deny deny_status {unrouted} if routes"
            case "backend default_backend", ["http-request", "return", *_]:
                seen.add("default")
                yield "    http-request deny deny_status 503"
            case _:
                yield line
