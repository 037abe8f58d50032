"""What `test_gang_over_hosts` runs in driver processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.errors import SparkMLDistError


def sums(spark):
    """Return what each of three ranks sees of its place, and the sum over all of them."""
    await_slots(spark, 3, seconds=120)
    horovod = ("sparkml_dist.deep.backend.with_horovod",)
    return [r.value for r in run_gang(spark, 3, _sum, preload=horovod, required=("horovod",))]


def refused(spark):
    """Return the error of a gang that cannot start."""
    try:
        return sums(spark)
    except SparkMLDistError as error:
        return {"code": error.code, "text": str(error)}


def stays(spark, folder, silence):
    """Run a gang that does not end by itself; return its error and the seconds it took."""
    await_slots(spark, 3, seconds=120)
    try:
        run_gang(spark, 3, _stays, folder, silence_timeout=silence)
    except SparkMLDistError as error:
        at = float(Path(folder, "fault").read_text())
        return {"code": error.code, "text": str(error), "seconds": time.time() - at}
    return None


def _sum(context, _):
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    total = float(hvd.allreduce(tf.constant(2.0**context.rank), op=hvd.Sum))
    names = ("HOROVOD_HOSTNAME", "HOROVOD_GLOO_IFACE", "HOROVOD_GLOO_RENDEZVOUS_ADDR")
    return [total, hvd.cross_size(), *(os.environ[name] for name in names)]


def _stays(context, folder):
    here = Path(folder, f"{os.environ['HOROVOD_HOSTNAME']}.here")
    here.with_suffix(".tmp").write_text(str(os.getpid()))
    here.with_suffix(".tmp").rename(here)
    time.sleep(300)
