"""Stands in for HAProxy's binary: changes the configuration it is given, then becomes HAProxy.

``python -m deploy.haproxy.haproxy_launcher BINARY BIND ERRORS KEYED ARGUMENTS…``; Serve starts it
anew for every reload, through a script that ``deploy.haproxy.ingress`` writes.
"""

import os
import sys
from pathlib import Path

from deploy.haproxy.haproxy_config import HAProxyConfigError, Site, adapt


def main() -> None:
    """Adapt the file behind ``-f`` in place (by a rename) and run HAProxy on it."""
    binary, bind, errors, keyed, *arguments = sys.argv[1:]
    path = Path(arguments[arguments.index("-f") + 1])
    site = Site(bind=bind, errors=Path(errors), keyed=keyed == "keyed")
    try:
        config = adapt(path.read_text(), site)
    except HAProxyConfigError as error:
        sys.exit(str(error))
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(config)
    partial.replace(path)
    os.execv(binary, [binary, *arguments])


if __name__ == "__main__":
    main()
