"""Detects that a gang no longer advances, and which rank holds it up.

Heartbeats come from a thread, so that a rank that waits in a collective operation, or for a file
that never comes, is not silent, but does not advance. Each rank counts its advances
(`sparkml_dist.cluster.rank_context.RankContext.advance`); when no rank's count has changed for too
long, the gang is stalled, and the others wait for the rank with the lowest count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["StallWatch"]


class StallWatch:
    """Follows the advances of a gang's ranks.

    Parameters
    ----------
    seconds : float
        Time without an advance of any rank after which the gang is stalled.
    clock : callable, optional
        Returns seconds; ``time.monotonic`` by default.

    Notes
    -----
    Nothing is watched before the first advance: a target that never calls ``advance`` has no time
    limit.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._counts: dict[int, tuple[int, str]] = {}
        self._done: set[int] = set()
        self._latest = 0.0

    def joined(self, rank: int) -> None:
        """Start at zero, so that a rank that never advances is behind the others."""
        self._counts.setdefault(rank, (0, ""))

    def advanced(self, rank: int, count: int, doing: str) -> None:
        """Record a rank's count and its next step."""
        self._counts[rank] = (count, doing)
        self._latest = self._clock()

    def done(self, rank: int) -> None:
        """Ignore a rank that has ended well from now on."""
        self._done.add(rank)
        self._latest = self._clock()

    def stalled(self) -> dict[str, Any] | None:
        """Return the record of the rank that is behind, or None while the gang advances."""
        open_ranks = {r: c for r, c in self._counts.items() if r not in self._done}
        if not any(count for count, _ in self._counts.values()) or not open_ranks:
            return None
        idle = self._clock() - self._latest
        if idle < self.seconds:
            return None
        behind = min(open_ranks, key=lambda r: (open_ranks[r][0], r))
        count, doing = open_ranks[behind]
        return {
            "rank": behind,
            "kind": "stalled",
            "echo": False,
            "seconds": idle,
            "count": count,
            "doing": doing,
            # All wait at the same step: no rank in particular is to blame.
            "level": len(open_ranks) > 1 and len({c for c, _ in open_ranks.values()}) == 1,
            "others": {str(r): c for r, (c, _) in sorted(open_ranks.items()) if r != behind},
        }
