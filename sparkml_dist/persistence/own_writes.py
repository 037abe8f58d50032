"""What this process has written to object stores and deleted there, for listings that lag behind.

Some stores show a new object in listings only after a while, or a deleted one for longer. A process
must at least see its own writes: otherwise a manifest would leave out a file.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

__all__ = ["OWN_WRITES", "OwnWrites"]

_REMEMBERED_SECONDS = 900.0
_REMEMBERED_FILES = 20_000


@dataclass
class OwnWrites:
    """The latest writes and deletions of this process, by path; safe for threads.

    Attributes
    ----------
    seconds : float
        How long a path is remembered.
    most : int
        How many paths are; the oldest are forgotten first.
    """

    seconds: float = _REMEMBERED_SECONDS
    most: int = _REMEMBERED_FILES
    # By path, in the order of time: when, and whether it was written, else deleted.
    _known: dict[str, tuple[float, bool]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, *, written: bool) -> None:
        """Remember that a file was written, or deleted."""
        with self._lock:
            self._known.pop(path, None)
            self._known[path] = (time.monotonic(), written)
            while len(self._known) > self.most:
                del self._known[next(iter(self._known))]

    def below(self, prefix: str, *, written: bool) -> list[str]:
        """Return the paths below a prefix that were written, or those that were deleted."""
        since = time.monotonic() - self.seconds
        with self._lock:
            return [
                path
                for path, (when, kind) in self._known.items()
                if kind is written and when >= since and path.startswith(prefix)
            ]


#: Those of this process.
OWN_WRITES = OwnWrites()
