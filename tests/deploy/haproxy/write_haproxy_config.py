"""``python write_haproxy_config.py FOLDER``: write what this version of Ray Serve gives HAProxy.

A process of its own: importing Serve warns, and its settings are read at import.
"""

import sys
from pathlib import Path

from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions


def backend(name: str, prefix: str, port: int) -> BackendConfig:
    """An application with one replica."""
    server = ServerConfig(name=f"{name}-1", host="127.0.0.1", port=port)
    return BackendConfig(name=name, path_prefix=prefix, servers=[server], app_name=name)


def main() -> None:
    """Two applications, a variant and the gateway."""
    folder = Path(sys.argv[1])
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=9876),
        has_received_routes=True,
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_enabled=False,
    )
    backends = {"a": backend("a", "/a", 1), "gateway": backend("gateway", "/", 2)}
    path = str(folder / "haproxy.cfg")
    HAProxyApi(config, backends, config_file_path=path)._generate_config_file_internal()


if __name__ == "__main__":
    main()
