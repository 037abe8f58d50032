"""Runs an iterative solver over a data set: by Spark jobs, or in a gang that keeps the blocks."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.cluster.recovery import is_retryable
from sparkml_dist.dataset.gang_sums import GangWork, run_rank, unpacked
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.sums import JobSums
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.session import SessionInfo, has_dynamic_allocation
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Form", "Solved", "choose_form", "run_solver"]

_logger = logging.getLogger(__name__)

#: How sums are formed.
Form = Literal["auto", "jobs", "gang"]

# Measured on two cores, in seconds: see benchmarks/statistics_forms.py.
_JOB_SECONDS = 0.35  # a Spark job of a pass, without its arithmetic
_GANG_SECONDS = 4.0  # the first gang of an executor
_READ_BYTES = 150e6  # float32 bytes that a core reads from shards in a second
_KEPT_SHARE = 0.6  # of a task's memory, for blocks


@dataclass(frozen=True)
class Solved:
    """The result of a solver.

    Attributes
    ----------
    value : dict
        What it returned.
    form : {"jobs", "gang"}
        How sums were formed.
    ranks : int
        Ranks of the gang; 0 for jobs.
    pass_seconds : list of float
        Of each pass over the data.
    seconds : float
        Of everything.
    restarts : int
        How often the gang was launched again after the loss of a rank.
    """

    value: dict[str, Any]
    form: str
    ranks: int
    pass_seconds: list[float]
    seconds: float
    restarts: int = 0


def run_solver(
    spark: SparkSession,
    data: PartitionedDataset,
    solve: Callable[..., Mapping[str, Any]],
    problem: Any = None,
    *,
    form: Form = "auto",
    passes: int = 10,
    ranks: int | None = None,
    tasks: int | None = None,
    memory: int | str | None = None,
    dtype: npt.DTypeLike = np.float64,
    max_restarts: int = 1,
    description: str = "solve",
    slot_timeout: float = 600.0,
) -> Solved:
    """Run ``solve(sums, problem)``, with sums over the blocks of a data set; see `Sums`.

    The result is the same to the last bit for both forms and any number of tasks and ranks. A gang
    that loses a rank is launched again, from the beginning.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    data : PartitionedDataset
    solve : callable
        Returns a dict of JSON values and arrays; runs on the driver, or in rank 0.
    problem : Any, optional
        Given to `solve`; it must be small, and can be pickled.
    form : {"auto", "jobs", "gang"}, default="auto"
        ``"jobs"`` runs a Spark job for each pass. In a ``"gang"`` the ranks keep their blocks in
        memory as far as they fit, and a pass costs the arithmetic and a few milliseconds. By
        default what `choose_form` estimates to be faster.
    passes : int, default=10
        Expected number of passes, for that estimate.
    ranks : int, optional
        Ranks of a gang; as many as there are slots by default, and no more than shards.
    tasks : int, optional
        Most tasks of a job.
    memory : int or str, optional
        Memory of a rank, in bytes or like ``"512m"`` (the default).
    dtype : dtype, default=float64
        Type of a dense matrix in blocks.
    max_restarts : int, default=1
        Most launches of a gang after the first one.
    description : str, default="solve"
        Shown in the Spark UI.
    slot_timeout : float, default=600
        Seconds to wait for the slots of a gang.

    Returns
    -------
    Solved

    Raises
    ------
    SparkMLDistError
        What `solve` or its functions raise, and what `run_gang` and `sum_over_blocks` do.
    ConfigurationError
        ``invalid_param``.
    """
    if form not in ("auto", "jobs", "gang"):
        raise ConfigurationError(
            "invalid_param", f"form must be 'auto', 'jobs' or 'gang'. Got {form!r}."
        )
    begun = time.monotonic()
    info = SessionInfo.of(spark)
    room = parse_size(DEFAULT_MEMORY_PER_TASK if memory is None else memory)
    most = min(ranks or info.slots or 1, len(data.shards))
    chosen: str = form
    if form == "auto":
        free = not has_dynamic_allocation(spark)
        chosen = choose_form(data, passes, most, room) if free else "jobs"
    if chosen == "jobs":
        sums = JobSums(spark, data, dtype=dtype, tasks=tasks, description=description)
        value = dict(solve(sums, problem))
        return Solved(value, "jobs", 0, sums.seconds, time.monotonic() - begun)
    work = GangWork(
        data, solve, problem, secrets.token_hex(32), int(room * _KEPT_SHARE), np.dtype(dtype).name
    )
    restarts = 0
    while True:
        try:
            found = run_gang(
                spark,
                most,
                run_rank,
                work,
                description=f"{description}: {most} ranks",
                preload=("sparkml_dist.dataset.gang_sums",),
                slot_timeout=slot_timeout,
            )
        except SparkMLDistError as error:
            if not is_retryable(error) or restarts >= max_restarts:
                raise
            restarts += 1
            _logger.warning("%s The gang is launched again.", error.message.partition("\n")[0])
            continue
        value, seconds = unpacked(found[0].value["value"]), found[0].value["seconds"]
        return Solved(value, "gang", most, seconds, time.monotonic() - begun, restarts)


def choose_form(data: PartitionedDataset, passes: int, ranks: int, memory: int) -> str:
    """Return the form of sums that is estimated to be faster, ``"jobs"`` or ``"gang"``.

    A job costs its start and the reading of all rows in each pass; a gang its launch, and the
    reading of rows that it cannot keep.

    Parameters
    ----------
    data : PartitionedDataset
    passes : int
        Expected number of passes.
    ranks : int
        Ranks of the gang, or slots.
    memory : int
        Bytes of a rank.
    """
    size = float(sum(shard.block_bytes for shard in data.shards))
    workers = max(1, ranks)
    read = size / _READ_BYTES / workers
    left = max(0.0, 1.0 - _KEPT_SHARE * memory * workers / max(size, 1.0))
    jobs = passes * (_JOB_SECONDS + read)
    gang = _GANG_SECONDS + read + (passes - 1) * left * read
    return "gang" if gang < jobs else "jobs"
