"""What is wrong with the model that a user named; its JSON files, read so that this is said."""

import json
from pathlib import Path
from typing import Any


class SourceModelError(ValueError):
    """The source model cannot be found, read or quantized; the message says what to change."""


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file; None where there is no such file.

    Raises:
        SourceModelError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SourceModelError(f"{path} cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise SourceModelError(f"{path} holds no JSON object")
    return content


def refuse_dangling(path: Path) -> None:
    """Refuse a link to nowhere: a download that was cut off, or a moved cache.

    Raises:
        SourceModelError: naming the link and what it points at.
    """
    if path.is_symlink() and not path.exists():
        raise SourceModelError(
            f"{path} is a link to nowhere ({path.readlink()} is not there); "
            "download the model again, or delete the link if the file is not needed"
        )
