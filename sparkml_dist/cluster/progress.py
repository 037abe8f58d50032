"""Progress bars on terminals and in notebooks, and descriptions and tags of Spark jobs."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sparkml_dist.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["cancel_jobs", "job_description", "job_tag", "progress"]

_logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.5


def _someone_watches() -> bool:
    # PySpark imports ipykernel where it is installed: that alone does not make a notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is not None:
        return True
    return sys.stderr is not None and sys.stderr.isatty()


@contextlib.contextmanager
def progress(total: int, description: str, count: Callable[[], int]) -> Iterator[None]:
    """Show a bar while the block runs, on a terminal or in a notebook only.

    Parameters
    ----------
    total : int
        Final value of `count`.
    description : str
        Shown before the bar.
    count : callable
        Returns how many are done. Called from a thread every half second. It counts committed
        results, so that it works alike under Classic and Connect.
    """
    if not _someone_watches() or total <= 0:
        yield
        return
    from tqdm.auto import tqdm

    done = threading.Event()
    with tqdm(total=total, desc=description, leave=False) as bar:

        def update() -> None:
            try:
                bar.update(min(count(), total) - bar.n)
            except Exception:  # a bar must not fail the job
                _logger.debug("progress could not be read", exc_info=True)

        def watch() -> None:
            while not done.wait(_POLL_SECONDS):
                update()

        watcher = threading.Thread(target=watch, name="sparkml_dist-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            update()


@contextlib.contextmanager
def job_description(spark: SparkSession, text: str) -> Iterator[None]:
    """Name the jobs that the block starts: in the Spark UI, or as a tag under Connect."""
    if is_connect(spark):
        tag = text.replace(",", ";")
        spark.addTag(tag)
        try:
            yield
        finally:
            spark.removeTag(tag)
        return
    context = spark.sparkContext
    before = context.getLocalProperty("spark.job.description")
    context.setLocalProperty("spark.job.description", text)
    try:
        yield
    finally:
        # Python cannot unset the description; an empty one is nearest.
        context.setLocalProperty("spark.job.description", before or "")


@contextlib.contextmanager
def job_tag(spark: SparkSession, tag: str) -> Iterator[None]:
    """Tag the jobs that the block starts from this thread, for `cancel_jobs`."""
    # Under Classic, other threads cannot cancel by a session's own tags.
    add, remove = (
        (spark.addTag, spark.removeTag)
        if is_connect(spark)
        else (spark.sparkContext.addJobTag, spark.sparkContext.removeJobTag)
    )
    add(tag)
    try:
        yield
    finally:
        remove(tag)


def cancel_jobs(spark: SparkSession, tag: str) -> None:
    """Cancel the jobs tagged with `tag`, from any thread."""
    if is_connect(spark):
        spark.interruptTag(tag)
    else:
        spark.sparkContext.cancelJobsWithTag(tag)
