"""Keeps a task to the cores that it owns."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["limit_threads"]

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


@contextlib.contextmanager
def limit_threads(cores: int) -> Iterator[None]:
    """Cap BLAS, OpenMP and Arrow at `cores` threads while the block runs.

    An oversubscribed OpenMP fit was seen ten times slower than a capped one.

    Parameters
    ----------
    cores : int
        Cores that the task owns (``spark.task.cpus``).
    """
    import pyarrow
    from threadpoolctl import threadpool_limits

    for variable in _VARIABLES:  # for libraries that load later
        os.environ[variable] = str(cores)
    pyarrow.set_cpu_count(cores)
    with threadpool_limits(limits=cores):
        yield
