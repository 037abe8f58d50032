"""Starts Horovod, and keeps its threads from taking time off a network that does not need them."""

from __future__ import annotations

import os
from contextlib import suppress

from sparkml_dist.deep.backend import hvd

__all__ = ["start_horovod", "yield_to_training"]

_TASKS = "/proc/self/task"
_LEAST = 19
_threads: set[int] = set()


def start_horovod() -> None:
    """Start Horovod and note the threads that it makes; every rank must call it."""
    before = _running()
    hvd.init()
    _threads.update(_running() - before)


def yield_to_training() -> None:
    """Let Horovod's threads run only when the processor has nothing else to do.

    They meet the other ranks' a thousand times a second, whether there is something to send or not,
    and so cost a rank of one core 10 to 20% of it. That is for ranks whose gradients go another
    way: the rare other operation is waited for by the one thread that computes, so that the core is
    free then. Does nothing where the threads are not known.
    """
    for thread in _threads & _running():
        # Linux gives every thread a priority of its own.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, _LEAST)


def _running() -> set[int]:
    try:
        return {int(name) for name in os.listdir(_TASKS)}
    except OSError:
        return set()
