"""The messages between a job's two sides: typed values as JSON, in frames on a stream socket.

Standard library only: the inner side runs in environments that have nothing else in common.
"""

import functools
import json
import os
import socket
import struct
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

# In the environment of a job's process: the descriptor of its end of the channel.
CHANNEL_VARIABLE = "ASSAY_JOB_CHANNEL"
_SIZE = struct.Struct("!Q")
_MOST_DESCRIPTORS = 8


def send(channel: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one message, and open files of ours with it.

    Raises:
        ConnectionError: nobody is at the other end.
    """
    content = json.dumps(plain(message)).encode()
    size = _SIZE.pack(len(content))
    if descriptors:
        socket.send_fds(channel, [size], list(descriptors))
        size = b""
    # Not by the socket's own method: gevent's lets others write in the middle of a frame.
    left = memoryview(size + content)
    while left:
        left = left[os.write(channel.fileno(), left) :]


def receive(channel: socket.socket) -> tuple[Any, list[int]] | None:
    """The next message with the files that came along; None where the other end is closed."""
    header, descriptors, _, _ = socket.recv_fds(channel, _SIZE.size, _MOST_DESCRIPTORS)
    header += _read(channel, _SIZE.size - len(header)) if header else b""
    content = _read(channel, _SIZE.unpack(header)[0]) if len(header) == _SIZE.size else b""
    return (json.loads(content), descriptors) if content else None


def _read(channel: socket.socket, size: int) -> bytes:
    """So many bytes; none at all where the other end closes before they have come."""
    parts: list[bytes] = []
    while size and (part := channel.recv(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"" if size else b"".join(parts)


def plain(value: Any) -> Any:
    """A typed value as JSON can hold it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value


def typed(kind: type[Value], content: Any) -> Value:
    """What ``plain`` made of a value of ``kind``, as that kind again.

    Raises:
        TypeError: it has other fields.
    """
    found: Value = _typed(kind, content)
    return found


def _typed(kind: Any, content: Any) -> Any:
    if hasattr(kind, "model_validate"):
        return kind.model_validate(content)
    if is_dataclass(kind):
        assert isinstance(kind, type)
        hints = _hints(kind)
        return kind(**{key: _typed(hints.get(key), item) for key, item in content.items()})
    origin, inner = get_origin(kind), get_args(kind)
    if content is None or kind is None:
        return content
    if origin in (Union, types.UnionType):
        kept = [option for option in inner if option is not type(None)]
        return _typed(kept[0], content) if len(kept) == 1 else content
    if origin in (tuple, list):
        return origin(_typed(inner[0], item) for item in content)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _typed(inner[1], item) for key, item in content.items()}
    return Path(content) if kind is Path else content


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Types of a dataclass's fields; kept, as a load test decodes a message per request."""
    return get_type_hints(kind)
