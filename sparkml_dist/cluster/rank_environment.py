"""The environment variables of a rank's process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from sparkml_dist.cluster.placement import RankPlace

__all__ = ["horovod_environment", "process_environment"]

# Variables of Spark's Python worker that its child processes must not see.
_WORKER_ONLY = ("PYTHON_WORKER_FACTORY", "SPARK_REMOTE", "SPARK_AUTH", "CONNECT_")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def process_environment(cpus: int, gpus: Sequence[str], added: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a rank's process starts with.

    Parameters
    ----------
    cpus : int
        Cores that its task owns; native libraries use no more threads.
    gpus : sequence of str
        GPUs that its task owns; the process sees no others.
    added : mapping of str to str
        Variables of the caller; they override all others.

    Returns
    -------
    dict
    """
    found = {k: v for k, v in os.environ.items() if not k.startswith(_WORKER_ONLY)}
    found.update(dict.fromkeys(_THREAD_VARIABLES, str(max(1, cpus))))
    found.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if gpus:  # or TensorFlow takes all memory of a GPU, even of a shared one
        found.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    found.update(
        PYTHONPATH=os.pathsep.join(p for p in sys.path if p),
        PYTHONUNBUFFERED="1",
        CUDA_VISIBLE_DEVICES=",".join(gpus),
    )
    found.update(added)
    return found


def horovod_environment(
    place: RankPlace,
    size: int,
    host: str,
    interface: str,
    start_seconds: float,
    rendezvous: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables that tell Horovod a rank's place and how to find the other ranks.

    Parameters
    ----------
    place : RankPlace
        The rank's place.
    size : int
        Number of ranks.
    host : str
        Name of its host; the same for all ranks there.
    interface : str
        Network interface that Gloo uses.
    start_seconds : float
        How long a rank waits for the others.
    rendezvous : mapping of str to str
        Of `RendezvousServer.environment`.

    Returns
    -------
    dict
    """
    return {
        "HOROVOD_RANK": str(place.rank),
        "HOROVOD_SIZE": str(size),
        "HOROVOD_LOCAL_RANK": str(place.local_rank),
        "HOROVOD_LOCAL_SIZE": str(place.local_size),
        "HOROVOD_CROSS_RANK": str(place.cross_rank),
        "HOROVOD_CROSS_SIZE": str(place.cross_size),
        "HOROVOD_HOSTNAME": host,
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": interface,
        "HOROVOD_GLOO_TIMEOUT_SECONDS": str(int(start_seconds)),
        **rendezvous,
    }
