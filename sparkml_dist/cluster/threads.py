"""Limits a task to the cores that it owns."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

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

    An oversubscribed OpenMP fit was measured to be ten times slower than a capped one.

    Parameters
    ----------
    cores : int
        Cores that the task owns (``spark.task.cpus``).
    """
    import pyarrow

    for variable in _VARIABLES:  # for libraries that are loaded later
        os.environ[variable] = str(cores)
    pyarrow.set_cpu_count(cores)
    with _controller(len(sys.modules)).limit(limits=cores):
        yield


@lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:  # noqa: ARG001
    """Return the controller of the loaded libraries; finding them takes 20 ms.

    Parameters
    ----------
    modules : int
        Number of imported modules: with more modules there may be more libraries.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
