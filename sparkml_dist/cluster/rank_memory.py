"""A limit on the memory of the ranks of every gang that a block of the driver starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sparkml_dist.cluster.memory import resident_bytes

__all__ = ["POLL_SECONDS", "RankMemory", "rank_memory_limit", "rank_memory_limited_to"]

#: How often the task of a rank looks at its memory, where that is limited.
POLL_SECONDS = 0.1

_limit: ContextVar[int | None] = ContextVar("sparkml_dist rank memory", default=None)


@contextmanager
def rank_memory_limited_to(limit: int | None) -> Iterator[None]:
    """Limit the memory of the ranks of all gangs that the block starts.

    The limit is one of the calling context: a thread that the block starts has it if it runs in a
    copy of that context (``contextvars.copy_context``).

    Parameters
    ----------
    limit : int or None
        Bytes that a rank's process may take beyond those that it has when its function is called,
        which are its imports; None for no limit.
    """
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def rank_memory_limit() -> int | None:
    """Return the limit of the calling context; None for none."""
    return _limit.get()


@dataclass
class RankMemory:
    """The memory of one rank's process, watched by its task.

    Attributes
    ----------
    limit : int or None
        Bytes that the process may take beyond `base`.
    base : int
        Resident bytes when the rank's function was called, as the rank reports them.
    """

    limit: int | None
    base: int = 0

    def excess(self, pid: int | None) -> dict[str, Any] | None:
        """Return the record of a failure if the process has taken more than it may."""
        if self.limit is None or pid is None:
            return None
        taken = resident_bytes(pid) - self.base
        if taken <= self.limit:
            return None
        return {"kind": "memory", "taken": taken, "limit": self.limit}
