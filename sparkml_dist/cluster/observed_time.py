"""Time that counts only while somebody looks at the clock."""

from __future__ import annotations

import threading
import time

__all__ = ["ObservedTime"]


class ObservedTime:
    """Seconds, of which no two looks are further apart than `longest`.

    Who waits for a sign of life, and is itself stopped for an hour, has not waited for an hour: the
    sign may have come, and lie unread. Whoever looks every second or so counts as long as it runs.

    Parameters
    ----------
    longest : float, default=5
        Seconds that count at most between one look and the next.
    """

    def __init__(self, longest: float = 5.0) -> None:
        self._longest = longest
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._seconds = 0.0

    def __call__(self) -> float:
        """Look at the clock."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._looked, self._longest)
            self._looked = now
            return self._seconds
