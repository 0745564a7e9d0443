"""A process and its descendants: how much memory they use, whether they still do anything."""

import psutil


def tree_memory_bytes(pid: int) -> int | None:
    """Proportional set size of a process and its descendants, in bytes (Linux smaps).

    None where any of them cannot be read: a part would look like a small engine.
    """
    try:
        root = psutil.Process(pid)
        total = int(root.memory_full_info().pss)
        children = root.children(recursive=True)
    except psutil.Error:
        return None
    for process in children:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile, and holds nothing
        except psutil.Error:
            return None
    return total


def is_running(process: psutil.Process) -> bool:
    """Whether a process still does anything: a zombie only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
