"""What the code of one rank knows about its gang, and how it speaks to the driver."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Advances", "EventWriter", "RankContext", "to_json"]


def to_json(value: Any) -> str:
    """Return `value` as one line of JSON; numpy scalars and arrays become plain numbers."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"A rank's result and events must be JSON values (numbers, texts, lists, dicts). "
        f"Got {type(value).__name__}."
    )


class EventWriter:
    """Writes events as JSON lines to the pipe that the rank's task reads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, event: str, /, **fields: Any) -> None:
        """Write one event with the time of day at which it happened."""
        line = (to_json({"event": event, "time": time.time(), **fields}) + "\n").encode()
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class Advances:
    """How often a rank has advanced, and what it is about to do; told with its heartbeats.

    Attributes
    ----------
    count : int
        Advances so far.
    doing : str
        What was said at the last one.
    beat_seconds : float
        How often that is told.
    """

    def __init__(self) -> None:
        self.beat_seconds = 0.5  # until it is told
        self.count = 0
        self.doing = ""


@dataclass(frozen=True)
class RankContext:
    """A rank's place in its gang.

    Attributes
    ----------
    rank, size : int
        Its number, and how many there are.
    local_rank, local_size : int
        The same among the ranks of its host.
    cross_rank, cross_size : int
        The number of its host among the hosts that have such a local rank, and how many these are.
    hosts : tuple of str
        The host of every rank.
    cpus : int
        Cores that its task owns (``spark.task.cpus``).
    gpus : tuple of str
        Addresses of the GPUs that its task owns; its process sees no others.
    gpu_shared : bool
        Whether another rank of its host owns one of them too (fractions in
        ``spark.task.resource.gpu.amount``), which NCCL does not allow.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int
    hosts: tuple[str, ...] = ()
    cpus: int = 1
    gpus: tuple[str, ...] = ()
    gpu_shared: bool = False
    _events: EventWriter | None = field(default=None, repr=False, compare=False)
    _advances: Advances = field(default_factory=Advances, repr=False, compare=False)

    def emit(self, event: str, /, **fields: Any) -> None:
        """Send an event to the task, which passes rank 0's on to the driver.

        Parameters
        ----------
        event : str
            What happened, e.g. ``"epoch"``.
        **fields
            JSON values.
        """
        if self._events is not None:
            self._events.write(event, **fields)

    def advance(self, doing: str = "") -> None:
        """Say that this rank goes on; costs less than a microsecond.

        Called before everything that may wait for others or for data: twice in a training step.
        When no rank of the gang has called it for the gang's ``stall_timeout``, the gang is ended
        with an error that names the rank that has called it least often. A gang in which nobody
        ever calls it is not watched.

        Parameters
        ----------
        doing : str, default=""
            What comes next, for that error, e.g. ``"reading a batch"``.
        """
        advances = self._advances
        advances.doing = doing
        advances.count += 1
