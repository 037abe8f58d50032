"""What `test_standalone` runs in driver processes on a standalone cluster."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import SessionInfo, check_slots


def shown(spark, folder, pid, python, sums):
    """Everything that a cluster can show, with one session; then it loses a worker.

    `python` is an interpreter that has no Horovod on worker 1. `pid` is that worker's process
    group, which is killed under a running gang. `sums` says whether Horovod adds up, too.
    """
    await_slots(spark, 4, seconds=120)  # a busy machine may take longer than a gang waits
    info = SessionInfo.of(spark)
    events = []
    seats = run_gang(
        spark,
        4,
        _seat,
        log_folder=Folder.at(folder),
        on_event=lambda e: events.append([e["event"], time.time() - e["time"]]),
    )
    horovod = ("sparkml_dist.deep.backend.with_horovod",)
    added = run_gang(spark, 2, _allreduce, preload=horovod) if sums else []
    return {
        "info": [info.kind, info.slots, info.is_connect],
        "seats": [r.value for r in seats],
        "events": events,
        "sums": [r.value for r in added],
        "too_many": _error(lambda: check_slots(spark, 5)),
        "killed": _error(lambda: run_gang(spark, 4, _killed, log_folder=Folder.at(folder))),
        "after": [r.value for r in run_gang(spark, 4, _number)],
        "lacks_horovod": _lacks_horovod(spark, python),
        "without_a_worker": _lose_a_worker(spark, folder, pid),
    }


def _lose_a_worker(spark, folder, pid):
    def kill():
        while len(list(Path(folder).glob("rank-*.here"))) < 4:
            time.sleep(0.1)
        os.killpg(pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    lost = _error(lambda: run_gang(spark, 4, _stays, folder))
    too_many = _error(lambda: _once_noticed(spark))
    after = [r.value for r in run_gang(spark, 2, _number)]
    return {"lost": lost, "too_many": too_many, "after": after}


def _lacks_horovod(spark, python):
    """One worker's interpreter has no Horovod: refused before a rank's function is called."""
    context = spark.sparkContext
    own = context.pythonExec
    context.pythonExec = python
    try:
        return _error(lambda: run_gang(spark, 4, _number, required=("horovod",)))
    finally:
        context.pythonExec = own


def _once_noticed(spark):
    # The driver hears of a lost executor within seconds.
    deadline = time.monotonic() + 60
    while (SessionInfo.of(spark).slots or 0) > 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    check_slots(spark, 4)


def _error(action):
    begun = time.monotonic()
    try:
        action()
    except SparkMLDistError as error:
        return {
            "type": type(error).__name__,
            "code": error.code,
            "text": str(error),
            "rank": getattr(error, "rank", None),
            "seconds": time.monotonic() - begun,
        }
    return None


def _seat(context, _):
    context.emit("here", rank=context.rank)
    time.sleep(1.5)  # as long as the driver takes to see the event, and more
    return {
        "rank": context.rank,
        "local": [context.local_rank, context.local_size],
        "cross": [context.cross_rank, context.cross_size],
        "gpus": list(context.gpus),
        "visible": os.environ["CUDA_VISIBLE_DEVICES"],
        "grows": os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH"),
        "shared": context.gpu_shared,
        "host": os.environ["HOROVOD_HOSTNAME"],
        "interface": os.environ["HOROVOD_GLOO_IFACE"],
        "work_folder": Path.cwd().parts[-3],
    }


def _allreduce(context, _):
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    total = hvd.allreduce(tf.constant(float(context.rank + 1)), op=hvd.Sum)
    return [float(total), hvd.size(), hvd.local_size(), hvd.cross_size(), context.gpus[0]]


def _number(context, _):
    return context.rank


def _killed(context, _):
    if context.rank == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(300)


def _stays(context, folder):
    Path(folder, f"rank-{context.rank}.here").touch()
    time.sleep(300)
