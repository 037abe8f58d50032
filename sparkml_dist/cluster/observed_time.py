"""A clock that does not count the time while its own process is stopped."""

from __future__ import annotations

import threading
import time

__all__ = ["ObservedTime"]


class ObservedTime:
    """Seconds in which this process has run; a gap between two readings counts at most `longest`.

    A process that waits for a heartbeat and is itself stopped for an hour has not waited for an
    hour: the heartbeat may have arrived unread. Read at least every `longest` seconds, the clock
    counts like any other.

    Parameters
    ----------
    longest : float, default=5
        Most seconds that count between two readings.
    """

    def __init__(self, longest: float = 5.0) -> None:
        self._longest = longest
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._seconds = 0.0

    def __call__(self) -> float:
        """Return the seconds counted so far."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._looked, self._longest)
            self._looked = now
            return self._seconds
