"""The resident memory of a worker's Python process, now and at its peak."""

from __future__ import annotations

import contextlib
import os
import resource

__all__ = ["PeakMemory", "resident_bytes"]

_STATUS = "/proc/self/status"


def _status(field: str) -> int | None:
    try:
        with open(_STATUS) as file:
            for line in file:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process in bytes, this one by default; 0 where unknown."""
    try:
        with open(f"/proc/{'self' if pid is None else pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


class PeakMemory:
    """Measures the peak resident memory of this process while a block runs.

    A Spark worker's process runs many tasks, so that its lifetime peak says little about one of
    them; Linux lets a process reset its own high-water mark. Other systems report the lifetime
    peak.

    Attributes
    ----------
    base : int
        Resident bytes at the start of the block.
    peak : int
        Highest resident bytes within the block; set at its end.
    """

    base: int = 0
    peak: int = 0

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self.base = resident_bytes()
        return self

    def __exit__(self, *_: object) -> None:
        self.peak = self.so_far()

    def so_far(self) -> int:
        """Return the highest resident bytes since the block began."""
        lifetime = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return _status("VmHWM:") or lifetime
