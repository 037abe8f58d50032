"""Starts ranks as processes of this machine, without Spark: more of them than it has slots.

``python -m tests.deep.by_hand RANKS MODULE FUNCTION`` prints what ``FUNCTION(context)`` returned on
each rank, as one line of JSON. `ranks_by_hand` does so from a test.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from sparkml_dist.cluster.addressbook import Seat
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.rank_environment import horovod_environment, process_environment
from sparkml_dist.cluster.rendezvous import RendezvousServer

SECONDS = int(os.environ.get("BYHAND", "300"))


def ranks_by_hand(size, module, function, **environment):
    """Return what ``module.function(context)`` gives on each of `size` ranks.

    Raises `AssertionError` with the output of the ranks that failed.
    """
    with RendezvousServer("127.0.0.1") as server, ThreadPoolExecutor(size) as pool:
        runs = list(
            pool.map(
                lambda rank: subprocess.run(
                    [sys.executable, "-m", __name__, str(rank), str(size), module, function],
                    env={**_environment(rank, size, server), **environment},
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    check=False,
                ),
                range(size),
            )
        )
    failed = [f"rank {r}: {x.stderr[-4000:]}" for r, x in enumerate(runs) if x.returncode]
    assert not failed, "\n".join(failed)
    return [json.loads(run.stdout.splitlines()[-1]) for run in runs]


def _environment(rank, size, server):
    seat = Seat(rank, rank, size, 0, 1)
    place = horovod_environment(seat, size, "localhost", "lo", 60, server.environment)
    return {**process_environment(1, [], {}), **place}


def main(rank, size, module, function):
    # A deadlock of the ranks shows where each of them waits.
    faulthandler.dump_traceback_later(SECONDS - 30, exit=True)
    context = RankContext(rank, size, rank, size, 0, 1)
    result = getattr(importlib.import_module(module), function)(context)
    print(json.dumps(result), flush=True)
    horovod = sys.modules.get("horovod.tensorflow")
    if horovod is not None and horovod.is_initialized():
        # A rank that just went would take the slower ones down with it.
        horovod.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5])
