"""Starts Horovod, and slows its threads down for networks that hardly use it.

Horovod's threads synchronise with the other ranks once per cycle, by default every millisecond,
even when there is nothing to send. When gradients are reduced in shared memory, this costs a rank
with one core 10 to 20% of its time. A longer cycle reduces this cost; the few operations at the end
of an epoch can wait for it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from sparkml_dist.cluster.rendezvous import has_rounds, next_round
from sparkml_dist.deep.backend.with_horovod import hvd, tf

__all__ = ["RESTING_CYCLE_MS", "rest_horovod", "start_horovod", "wake_horovod"]

#: Milliseconds of a cycle while gradients are reduced in shared memory.
RESTING_CYCLE_MS = 10.0

_CYCLE = "HOROVOD_CYCLE_TIME"
_TASKS = "/proc/self/task"


@dataclass
class _State:
    threads: set[int] = field(default_factory=set)
    resting: bool = False


_state = _State()


def start_horovod() -> None:
    """Start Horovod and record its threads; every rank must call it."""
    before = _running()
    hvd.init()
    _state.threads = _running() - before


def rest_horovod() -> None:
    """Make Horovod's threads run rarely, and not in the middle of a step; all ranks must call it.

    Horovod reads its cycle time when it starts, so it is started again, unless its cycle time was
    set (``cycleMs``), it has process sets, which would be lost, or its rendezvous has no rounds.
    """
    if not _state.resting and _may_restart(_CYCLE not in os.environ):
        os.environ[_CYCLE] = repr(RESTING_CYCLE_MS)
        _restart()
        _state.resting = True
    for thread in _state.threads & _running():
        # Batch scheduling keeps their share of a busy processor, but they run at a pause of the
        # training or at the end of its time slice, not at each timer event. With a lower priority
        # they would wait forever on a host with more work than cores.
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def wake_horovod() -> None:
    """Undo `rest_horovod` for a network that reduces with Horovod; all ranks must call it."""
    if _state.resting and _may_restart(True):
        del os.environ[_CYCLE]
        _restart()
        _state.resting = False


def _may_restart(wanted: bool) -> bool:
    """Tell whether all ranks want to restart Horovod and can; no rank may stop it before."""
    only_global = len(hvd.mpi_ops._basics._get_process_set_ids_and_ranks()) == 1
    fits = wanted and only_global and has_rounds(os.environ)
    agreed = hvd.allreduce(tf.constant(int(fits)), op=hvd.Min, name="horovod_may_start_anew")
    return bool(agreed.numpy())


def _restart() -> None:
    # The first rank that shuts it down does so for all: no rank may use it from here on.
    hvd.shutdown()
    next_round(os.environ)
    start_horovod()


def _running() -> set[int]:
    try:
        return {int(name) for name in os.listdir(_TASKS)}
    except OSError:
        return set()
