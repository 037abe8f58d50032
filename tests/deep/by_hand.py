"""Starts ranks as processes of this machine, without Spark: more of them than it has slots."""

from __future__ import annotations

import atexit
import importlib
import os
import pickle
import queue
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from functools import cache
from unittest import mock

from sparkml_dist.cluster.placement import RankPlace
from sparkml_dist.cluster.rank_environment import horovod_environment, process_environment
from sparkml_dist.cluster.rank_process import RankProcess
from sparkml_dist.cluster.rendezvous import RendezvousServer

SECONDS = 300
WARM_SECONDS = 60


def ranks_by_hand(size, module, function, **environment):
    """Return what ``module.function(context)`` gives on each of `size` ranks.

    Raises `AssertionError` with the output of the ranks that failed, or where they wait when one
    takes too long.
    """
    work = pickle.dumps((_call, (module, function)))
    ranks = []
    with RendezvousServer("127.0.0.1") as server:
        try:
            for rank in range(size):
                inbox = queue.Queue()
                ranks.append((_started(inbox), inbox))
                seat = RankPlace(rank, rank, size, 0, 1)
                place = {**asdict(seat), "size": size, "hosts": [], "cpus": 1, "gpus": []}
                horovod = horovod_environment(seat, size, "localhost", "lo", 60, server.environment)
                ranks[-1][0].begin(place, {**horovod, **environment}, work)
            until = time.monotonic() + SECONDS
            return [_value(number, *rank, until) for number, rank in enumerate(ranks)]
        finally:
            for process, _ in ranks:
                process.kill()


def _started(inbox):
    # As Spark does for its Python workers. What is named to the JVM is another matter.
    with mock.patch.dict(os.environ, SPARK_LOCAL_DIRS=_executor()):
        environment = process_environment(1, [], {})
        return RankProcess(
            ("sparkml_dist.deep.backend.with_horovod",),
            environment,
            inbox,
            warm_seconds=WARM_SECONDS,
        )


@cache
def _executor():
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _value(number, process, inbox, until):
    value = None
    while True:
        try:
            kind, item = inbox.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            stacks = "\n".join(process.stacks())
            raise AssertionError(f"rank {number} takes too long:\n{stacks}") from None
        if kind == "exit":
            assert item == 0, f"rank {number}:\n" + "\n".join(process.tail(200))
            return value
        if item["event"] == "result":
            value = item["value"]


def _call(context, target):
    module, function = target
    value = getattr(importlib.import_module(module), function)(context)
    horovod = sys.modules.get("horovod.tensorflow")
    if horovod is not None and horovod.is_initialized():
        # A rank that just went would take the slower ones down with it.
        horovod.shutdown()
    return value
