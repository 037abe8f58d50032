"""What the code of a rank knows about its gang, and how it sends events to the driver."""

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
        """Write one event with the current time."""
        line = (to_json({"event": event, "time": time.time(), **fields}) + "\n").encode()
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class Advances:
    """The number of a rank's advances and its next step; sent with its heartbeats.

    Attributes
    ----------
    count : int
        Advances so far.
    doing : str
        The text passed with the last one.
    heartbeat_seconds : float
        Seconds between heartbeats.
    """

    def __init__(self) -> None:
        self.heartbeat_seconds = 0.5  # until the task sends its own value
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
        The same among the ranks on its host.
    cross_rank, cross_size : int
        The number of its host among the hosts that have its local rank, and the number of these.
    hosts : tuple of str
        The host of every rank.
    cpus : int
        Cores assigned to its task (``spark.task.cpus``).
    gpus : tuple of str
        Addresses of the GPUs assigned to its task; its process sees no others.
    gpu_shared : bool
        Whether another rank on its host owns one of them too (fractions in
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
        """Report that this rank makes progress; costs less than a microsecond.

        Call it before everything that may wait for others or for data: twice in a training step.
        When no rank of the gang has called it for the gang's ``stall_timeout``, the gang is ended
        with an error that names the rank with the fewest calls. A gang that never calls it is not
        watched.

        Parameters
        ----------
        doing : str, default=""
            The next step, for that error, e.g. ``"reading a batch"``.
        """
        advances = self._advances
        advances.doing = doing
        advances.count += 1
