"""Keeps garbage collections short in Spark's Python workers, which run many tasks.

PySpark collects all garbage after every task, before the worker takes the next one. With
scikit-learn, pandas and Arrow imported that is a walk over 150,000 objects that stay for good:
0.1 s for each task on two quiet cores (0.22 s on busy ones), most of what a small task costs;
less than 0.01 ms once they are frozen. No setting of PySpark leaves the collection out.

It begins as a worker imports the package, before it loads anything else, since workers run
functions of many modules and none of these is always the first.
"""

from __future__ import annotations

import gc
import sys

__all__ = ["in_spark_worker", "keep_collections_short"]

_OLDEST = 2
# Number of newly imported modules that justifies freezing again. A frozen object that becomes
# cyclic garbage later is never collected, so that freezing should be rare.
_MANY_MODULES = 50


def in_spark_worker() -> bool:
    """Return whether this process is a worker that PySpark's daemon has forked, or the daemon."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", None) == "pyspark.daemon"


def keep_collections_short() -> None:
    """After each full collection, freeze its survivors if many modules were imported since.

    Only survivors of a collection that has just ended are frozen: no garbage.
    """
    if not any(isinstance(known, _Freezing) for known in gc.callbacks):
        gc.callbacks.append(_Freezing())


class _Freezing:
    """Callback of the garbage collector."""

    modules = 0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase != "stop" or info["generation"] != _OLDEST:
            return
        if len(sys.modules) - self.modules >= _MANY_MODULES:
            self.modules = len(sys.modules)
            gc.freeze()
