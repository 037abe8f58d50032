"""A rank's folder for binned rows on the local disk of its executor."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cache_folder"]

_PREFIX = "sparkml_dist-boosting-"


@contextlib.contextmanager
def cache_folder() -> Iterator[str]:
    """Give a new folder in Spark's local directory, deleted at the end of the block.

    A rank that was killed could not delete its folder: those of processes that have ended are
    deleted here.
    """
    home = os.environ.get("SPARK_LOCAL_DIRS", "").partition(",")[0]
    home = home if os.path.isdir(home) else tempfile.gettempdir()
    for left in Path(home).glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=home)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
