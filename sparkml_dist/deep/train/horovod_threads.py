"""Starts Horovod, and keeps its threads from taking time off a network that does not need them.

Horovod's threads meet the other ranks' once in a cycle, by default of a millisecond, whether there
is something to send or not. Where gradients go another way, that costs a rank of one core 10 to
20% of it: a longer cycle costs as much less, and the few operations at the end of an epoch can wait
for it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from sparkml_dist.cluster.rendezvous import has_rounds, next_round
from sparkml_dist.deep.backend.with_horovod import hvd, tf

__all__ = ["RESTING_CYCLE_MS", "rest_horovod", "start_horovod", "wake_horovod"]

#: Milliseconds of a cycle while the ranks' gradients go another way.
RESTING_CYCLE_MS = 10.0

_CYCLE = "HOROVOD_CYCLE_TIME"
_TASKS = "/proc/self/task"


@dataclass
class _State:
    threads: set[int] = field(default_factory=set)
    resting: bool = False


_state = _State()


def start_horovod() -> None:
    """Start Horovod and note the threads that it makes; every rank must call it."""
    before = _running()
    hvd.init()
    _state.threads = _running() - before


def rest_horovod() -> None:
    """Let Horovod's threads run seldom, and not in the middle of a step; all ranks must call it.

    Horovod reads its cycle when it starts: it is started anew, unless its cycle has been chosen
    (``cycleMs``), it has process sets, which would be lost, or nobody knows where its ranks meet.
    """
    if not _state.resting and _may_start_anew(_CYCLE not in os.environ):
        os.environ[_CYCLE] = repr(RESTING_CYCLE_MS)
        _start_anew()
        _state.resting = True
    for thread in _state.threads & _running():
        # They keep their share of a busy processor, but take it at a pause of the training or at
        # the end of its time slice, not whenever their timer says so. A lower priority would make
        # them wait for ever on a host with more work than cores.
        with suppress(OSError, AttributeError):
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def wake_horovod() -> None:
    """Undo `rest_horovod` for a network that reduces through Horovod; all ranks must call it."""
    if _state.resting and _may_start_anew(True):
        del os.environ[_CYCLE]
        _start_anew()
        _state.resting = False


def _may_start_anew(wanted: bool) -> bool:
    """Tell whether all ranks want to start Horovod anew and can; until then none ends it."""
    only_global = len(hvd.mpi_ops._basics._get_process_set_ids_and_ranks()) == 1
    fits = wanted and only_global and has_rounds(os.environ)
    agreed = hvd.allreduce(tf.constant(int(fits)), op=hvd.Min, name="horovod_may_start_anew")
    return bool(agreed.numpy())


def _start_anew() -> None:
    # The first rank to end it ends it for all: no rank may ask it for anything here.
    hvd.shutdown()
    next_round(os.environ)
    start_horovod()


def _running() -> set[int]:
    try:
        return {int(name) for name in os.listdir(_TASKS)}
    except OSError:
        return set()
