"""An artifact that was checked once, for an engine that sleeps and wakes on it."""

from collections.abc import Callable
from pathlib import Path

from quantize.artifact.manifest import Manifest

_Stamp = tuple[str, int, int, int, int, int]


class KnownArtifact:
    """Checks an artifact with ``check``, which reads all of it: a second for each gigabyte."""

    def __init__(self, artifact: Path, check: Callable[[Path], Manifest]) -> None:
        self._artifact = artifact
        self._check = check
        self._known: tuple[list[_Stamp], Manifest] | None = None

    def checked(self, *, if_changed: bool) -> Manifest:
        """What was found; with ``if_changed``, files that are still those that were checked are not
        read again.

        Raises:
            ArtifactError: the artifact is not what it claims to be.
        """
        stamps = self._stamps()
        if if_changed and self._known is not None and self._known[0] == stamps:
            return self._known[1]
        manifest = self._check(self._artifact)
        self._known = stamps, manifest
        return manifest

    def _stamps(self) -> list[_Stamp]:
        """What changes with a file's content: device, inode, size, times in nanoseconds."""
        found = []
        for path in sorted(self._artifact.rglob("*")):
            at = path.stat() if path.exists() else path.lstat()
            times = at.st_mtime_ns, at.st_ctime_ns
            found.append((str(path), at.st_dev, at.st_ino, at.st_size, *times))
        return found
