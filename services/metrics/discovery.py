"""Where Prometheus finds the variants: its HTTP service discovery (``http_sd_configs``).

Format: https://prometheus.io/docs/prometheus/latest/http_sd/
"""

from collections.abc import Iterable
from typing import Any

from services.http.asgi import Headers, header
from services.variants import find_variant

TARGETS_PATH = "/prometheus/targets"


def targets(headers: Headers, variants: Iterable[str], address: str) -> list[dict[str, Any]]:
    """One target per variant, each at its own ``/<variant>/metrics``.

    The service is reached by whoever asks under the ``Host`` they asked for, which is what they
    are told to scrape; ``address`` (``host:port``) is told where a request has none.
    """
    asked = header(headers, b"host") or address
    return [
        {
            "targets": [asked],
            "labels": {
                "__metrics_path__": f"/{name}/metrics",
                "variant": name,
                "recipe": variant.recipe.name,
                "engine": variant.engine.name,
            },
        }
        for name in variants
        for variant in [find_variant(name)]
    ]
