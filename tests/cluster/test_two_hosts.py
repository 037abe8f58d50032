"""Horovod over two hosts, as far as it can tell: two processes with the places of two hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sparkml_dist.cluster.placement import interface_of, rank_places
from sparkml_dist.cluster.rank_environment import horovod_environment
from sparkml_dist.cluster.rendezvous import RendezvousServer

CODE = """
import json
from sparkml_dist.deep.backend.with_horovod import hvd, tf
hvd.init()
total = float(hvd.allreduce(tf.constant(2.0 ** hvd.rank()), op=hvd.Sum))
print(json.dumps([total, hvd.rank(), hvd.local_rank(), hvd.local_size(),
                  hvd.cross_rank(), hvd.cross_size()]))
"""


@pytest.mark.long
def test_horovod_takes_the_seats_of_two_hosts():
    hosts = ["a", "b"]
    with RendezvousServer("127.0.0.1") as server:
        ranks = [
            subprocess.Popen(
                [sys.executable, "-c", CODE],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **horovod_environment(
                        seat, 2, host, interface_of("127.0.0.1"), 120, server.environment
                    ),
                },
            )
            for seat, host in zip(rank_places(hosts), hosts, strict=True)
        ]
        printed = [json.loads(rank.communicate(timeout=240)[0]) for rank in ranks]
    assert printed == [[3.0, 0, 0, 1, 0, 2], [3.0, 1, 0, 1, 1, 2]]
