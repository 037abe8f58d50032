"""A random sample of rows, gathered in one task: the driver sees only what is made of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["CANDIDATES", "LowestDraws", "SampledRows", "candidates", "on_sample"]

#: Schema of `candidates`.
CANDIDATES = "width int, draws binary, rows binary, targets binary, weights binary"


@dataclass(frozen=True)
class SampledRows:
    """A random sample of rows, in random order.

    Attributes
    ----------
    X : ndarray of float64, shape (n, d)
    y : ndarray of float64, shape (n,)
        Targets or class codes; zeros where there are none.
    weight : ndarray of float64, shape (n,)
    last : float
        The greatest draw among them; a row with a greater one is not in the sample.
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    last: float = 1.0

    def __len__(self) -> int:
        return len(self.X)


class LowestDraws:
    """Keeps the rows with the lowest draws of a stream of rows.

    Ties are broken by the rows' content, so that the outcome depends on no order.

    Parameters
    ----------
    number : int
        Most rows to keep.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._parts: list[tuple[npt.NDArray[Any], ...]] = []
        self._held = 0

    def add(
        self,
        draws: npt.NDArray[np.float64],
        X: npt.NDArray[np.float64],
        y: npt.NDArray[Any],
        weight: npt.NDArray[Any] | None,
    ) -> None:
        """Add rows with their draws, shape (n,)."""
        if not len(draws):
            return
        weights = np.ones(len(draws)) if weight is None else weight.astype(np.float64)
        self._parts.append((draws, X, y.astype(np.float64), weights))
        self._held += len(draws)
        if self._held > 4 * self._number + 1000:
            self._parts = [self.kept()]
            self._held = len(self._parts[0][0])

    def kept(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the lowest draws, ascending, with their rows, targets and weights."""
        if not self._parts:
            return np.empty(0), np.empty((0, 0)), np.empty(0), np.empty(0)
        draws, X, y, weights = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.lexsort((y, *X.T[::-1], draws))[: self._number]
        return draws[order], X[order], y[order], weights[order]


def candidates(lowest: LowestDraws) -> pa.RecordBatch:
    """Return the rows that were kept as a row of `CANDIDATES`."""
    draws, X, y, weights = lowest.kept()
    columns = [pa.array([X.shape[1]], pa.int32())]
    columns += [pa.array([a.tobytes()], pa.binary()) for a in (draws, X, y, weights)]
    names = [field.split()[0] for field in CANDIDATES.split(", ")]
    return pa.RecordBatch.from_arrays(columns, names)


def on_sample(
    parts: DataFrame, number: int, function: Callable[[SampledRows], Summands], *, least: int = 0
) -> Arrays | None:
    """Return what a function makes of a sample, in a task.

    Parameters
    ----------
    parts : pyspark.sql.DataFrame
        Of `CANDIDATES`.
    number : int
        Rows of the sample.
    function : callable
        Returns arrays by name. It runs with BLAS capped at the task's cores.
    least : int, default=0
        With fewer rows the function is not called, and the result is None.

    Raises
    ------
    DataError
        ``empty_data``, or what the function raises.
    """
    cores = SessionInfo.of(parts.sparkSession).task_cpus

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        lowest = LowestDraws(number)
        for batch in batches:
            for i in range(batch.num_rows):
                width = batch.column(0)[i].as_py()
                draws, X, y, weights = (
                    np.frombuffer(batch.column(c)[i].as_buffer(), np.float64) for c in range(1, 5)
                )
                if len(draws):
                    lowest.add(draws, X.reshape(-1, width), y, weights)
        draws, X, y, weights = lowest.kept()
        content = b""
        if len(draws) >= max(1, least):
            buffer = io.BytesIO()
            with limit_threads(cores):
                np.savez(buffer, **function(SampledRows(X, y, weights, draws[-1])))  # type: ignore[arg-type]
            content = buffer.getvalue()
        yield pa.RecordBatch.from_arrays(
            [pa.array([len(draws)], pa.int64()), pa.array([content], pa.binary())],
            ["rows", "found"],
        )

    made = parts.repartition(1).mapInArrow(work, "rows long, found binary")
    with (
        job_description(parts.sparkSession, "sparkml_dist: sample for a kernel"),
        errors_of_tasks(),
    ):
        table = made.toArrow()
    if not table.num_rows or (not table["rows"][0].as_py() and not least):
        raise DataError("empty_data", "There are no rows.", "Check the path and filters.")
    content = table["found"][0].as_py()
    if not content:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
