"""Where the endpoints' API keys come from; no plan, log, record or result ever holds one."""

import os
import re
import stat
from collections.abc import Mapping, MutableMapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from deploy.client_key import CLIENT_VARIABLE, SERVER_VARIABLE
from deploy.plan import Serving

LEAST_LENGTH = 16
# What a header carries as it is (RFC 6750, section 2.1: b64token), and no separator of ours.
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class ApiKeyError(ValueError):
    """Keys that are missing or cannot be used; the message names their source, never a key."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address, which may be an IPv4 one written as IPv6."""
    if host == "localhost":
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


def read_keys(serving: Serving, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The keys of a plan: those of ``api_keys_file`` where it names one, else of its variable.

    Raises:
        ApiKeyError: the file cannot be read or can be read by others, a key is too short or has
            other characters than a header carries.
    """
    if serving.api_keys_file is not None:
        source, words = serving.api_keys_file, _lines(Path(serving.api_keys_file).expanduser())
    else:
        source = f"${serving.api_keys_env}"
        words = environment.get(serving.api_keys_env, "").split(",")
    keys = tuple(word.strip() for word in words if word.strip())
    for place, key in enumerate(keys, start=1):
        if len(key) < LEAST_LENGTH or not _KEY.fullmatch(key):
            raise ApiKeyError(
                f"key {place} of {source} cannot be used: a key has at least {LEAST_LENGTH} of the "
                f"characters A-Z a-z 0-9 . _ ~ + / - (make one: {_MAKE_ONE})"
            )
    return keys


def require_keys(serving: Serving, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The keys of a plan; only endpoints that nobody else can reach need none.

    Raises:
        ApiKeyError: there are none, and the host is no loopback address; or see ``read_keys``.
    """
    keys = read_keys(serving, environment)
    if not keys and not is_loopback(serving.host):
        source = serving.api_keys_file or f"the variable {serving.api_keys_env}"
        raise ApiKeyError(
            f"serving.host: {serving.host!r} is no loopback address, so the endpoints need API "
            f'keys and {source} holds none: export {serving.api_keys_env}="$({_MAKE_ONE})", or '
            "keep 127.0.0.1 and forward the port (ssh -L)"
        )
    return keys


def provide_client_key(
    serving: Serving, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Give this command, and what it starts, a key to send; one that the user set stays.

    Raises:
        ApiKeyError: see ``require_keys``.
    """
    keys = require_keys(serving, environment)
    if keys:
        environment.setdefault(CLIENT_VARIABLE, keys[0])


def forget_keys(serving: Serving, environment: MutableMapping[str, str] = os.environ) -> None:
    """Take the keys out of an environment that engines and Ray's processes would inherit."""
    for name in (CLIENT_VARIABLE, SERVER_VARIABLE, serving.api_keys_env):
        environment.pop(name, None)


def _lines(path: Path) -> list[str]:
    """The lines of a file that its owner alone can read; ``#`` begins a comment."""
    try:
        found = path.stat()
        if found.st_uid not in {os.geteuid(), 0} or stat.S_IMODE(found.st_mode) & 0o077:
            raise ApiKeyError(
                f"serving.api_keys_file: {path} can be read by others: chmod 600 it, as its owner"
            )
        return [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ApiKeyError(f"serving.api_keys_file: {path} cannot be read ({error})") from None
