"""Facts about points from one pass: their number, length and bounds, and a sample."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.errors import DataError
from sparkml_dist.mining.point_columns import LARGEST

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.mining.point_columns import PointColumns

__all__ = ["LowestHashes", "PointSurvey", "joined_surveys", "partial_surveys", "planned", "survey"]

_SCHEMA = (
    "rows long, bad long, zero long, narrowest int, widest int, low binary, high binary, "
    "hashes binary, sample binary"
)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)

Points = npt.NDArray[np.float64]


@dataclass
class PointSurvey:
    """Facts about a set of points.

    Attributes
    ----------
    rows : int
    bad : int
        Rows with a coordinate that is null, NaN or beyond `LARGEST`.
    zero : int
        Rows whose coordinates are all zero.
    narrowest, widest : int
        Least and greatest number of coordinates of a point.
    low, high : ndarray of float64, shape (d,)
        Bounds of each coordinate.
    sample : ndarray of float64, shape (m, d)
        Rows with the lowest hashes: a random sample that does not depend on how the data is
        partitioned, as long as rows are distinct.
    """

    rows: int
    bad: int
    zero: int
    narrowest: int
    widest: int
    low: Points
    high: Points
    sample: Points

    def check(self, columns: PointColumns, *, nonzero: bool = False) -> None:
        """Raise where the points cannot be used.

        Parameters
        ----------
        columns : PointColumns
            The columns of the coordinates.
        nonzero : bool, default=False
            Whether a point must have a coordinate that is not zero.

        Raises
        ------
        DataError
            ``empty_data``, ``not_finite``, ``vector_length``, ``no_features``,
            ``zero_vector``.
        """
        if self.rows == 0:
            raise DataError("empty_data", "There are no rows.", "Check the data.")
        where = ", ".join(columns.names[:6]) + (", …" if len(columns.names) > 6 else "")
        if self.bad:
            raise DataError(
                "not_finite",
                f"{self.bad:,} of {self.rows:,} rows have null, NaN or infinite values in {where}, "
                f"or some beyond ±{LARGEST:g}.",
                "Drop those rows or fill them in; pyspark.ml.feature.Imputer does.",
            )
        if self.narrowest != self.widest:
            raise DataError(
                "vector_length",
                f"Rows of {where} have from {self.narrowest} to {self.widest} values.",
                "Give all rows the same length.",
            )
        if self.widest == 0:
            raise DataError("no_features", f"The rows of {where} have no values.")
        if nonzero and self.zero:
            raise DataError(
                "zero_vector",
                f"{self.zero:,} of {self.rows:,} rows are zero in all coordinates.",
                "Drop those rows: their cosine is not defined.",
            )


class LowestHashes:
    """Keeps the rows with the lowest hashes of a stream of rows.

    Parameters
    ----------
    number : int
        Number of rows to keep.
    seed : int
    """

    def __init__(self, number: int, seed: int = 0) -> None:
        self._number, self._seed = number, seed
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._rows: list[Points] = []
        self._held = 0

    def add(self, rows: Points) -> None:
        """Add a block of rows, shape (n, d)."""
        if self._number and len(rows):
            self.merge(_row_hashes(rows, self._seed), rows)

    def merge(self, hashes: npt.NDArray[np.uint64], rows: Points) -> None:
        """Add rows whose hashes are known."""
        if len(hashes) > self._number:
            lowest = np.argpartition(hashes, self._number)[: self._number]
            hashes, rows = hashes[lowest], rows[lowest]
        self._hashes.append(hashes)
        self._rows.append(rows)
        self._held += len(rows)
        if self._held > 4 * self._number:
            hashes, rows = self.kept()
            self._hashes, self._rows, self._held = [hashes], [rows], len(rows)

    def kept(self) -> tuple[npt.NDArray[np.uint64], Points]:
        """Return the lowest hashes, ascending, and their rows."""
        if not self._rows:
            return np.empty(0, np.uint64), np.empty((0, 0))
        hashes, rows = np.concatenate(self._hashes), np.concatenate(self._rows)
        # Ties are broken by the rows' content, and so do not depend on the order of partitions.
        order = np.lexsort((*rows.T[::-1], hashes))[: self._number]
        return hashes[order], rows[order]


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the finalizer of SplitMix64 (Steele, Lea, Flood 2014) of each number."""
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))


def _row_hashes(rows: Points, seed: int) -> npt.NDArray[np.uint64]:
    """Hash the content of rows; equal rows of one block get different hashes."""
    bits = (np.ascontiguousarray(rows) + 0.0).view(np.uint64)
    with np.errstate(over="ignore"):
        hashes = _mix(np.full(len(rows), seed, np.uint64) + _GOLDEN)
        for column in bits.T:
            hashes = _mix((hashes ^ column) + _GOLDEN)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        new = np.append(True, ordered[1:] != ordered[:-1])
        first = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
        earlier = (np.arange(len(rows)) - first).astype(np.uint64)
        again = earlier > 0
        hashes[order[again]] = _mix(ordered[again] + earlier[again] * _GOLDEN)
    return hashes


def partial_surveys(points: DataFrame, *, sample: int = 0, seed: int = 0) -> DataFrame:
    """Return a survey of each partition of a column of arrays, computed lazily."""
    return points.mapInArrow(partial(_survey_partition, sample, seed), _SCHEMA)


def joined_surveys(
    batches: Iterator[pa.RecordBatch], *, sample: int = 0, seed: int = 0
) -> PointSurvey:
    """Return the survey of all rows from the surveys of partitions."""
    total = PointSurvey(0, 0, 0, 2**31 - 1, 0, np.empty(0), np.empty(0), np.empty((0, 0)))
    lowest = LowestHashes(sample, seed)
    for batch in batches:
        for i in range(batch.num_rows):
            value = {name: batch.column(name)[i] for name in batch.schema.names}
            total.rows += value["rows"].as_py()
            total.bad += value["bad"].as_py()
            total.zero += value["zero"].as_py()
            total.narrowest = min(total.narrowest, value["narrowest"].as_py())
            total.widest = max(total.widest, value["widest"].as_py())
            low, high, rows = (
                np.frombuffer(value[name].as_buffer(), np.float64)
                for name in ("low", "high", "sample")
            )
            if not len(low):
                continue
            if not len(total.low):
                total.low, total.high = low.copy(), high.copy()
            elif len(low) == len(total.low):
                total.low = np.minimum(total.low, low)
                total.high = np.maximum(total.high, high)
            else:
                continue  # points of several widths, which `check` refuses
            hashes = np.frombuffer(value["hashes"].as_buffer(), np.uint64)
            if len(hashes):
                lowest.merge(hashes.copy(), rows.reshape(len(hashes), -1).copy())
    total.sample = lowest.kept()[1]
    return total


def survey(points: DataFrame) -> PointSurvey:
    """Return the survey of a column of arrays, without a sample."""
    table = partial_surveys(points).toArrow()
    return joined_surveys(iter(table.to_batches()))


def planned(
    points: DataFrame, plan: Callable[[PointSurvey], dict[str, Any]], *, sample: int
) -> dict[str, Any]:
    """Return the plan that a task makes from the survey of a column of arrays.

    Parameters
    ----------
    points : pyspark.sql.DataFrame
    plan : callable
        ``plan(survey)`` returns JSON values. It runs in a task, so that the driver sees no point.
    sample : int
        Size of the survey's sample.

    Raises
    ------
    DataError
        ``empty_data``, and any that `plan` raises.
    """
    surveys = partial_surveys(points, sample=sample).repartition(1)
    found = surveys.mapInArrow(partial(_plan, plan, sample), "plan string").collect()
    if not found:
        raise DataError("empty_data", "There are no rows.", "Check the data.")
    result: dict[str, Any] = json.loads(found[0]["plan"])
    return result


def _plan(
    plan: Callable[[PointSurvey], dict[str, Any]], sample: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    survey = joined_surveys(batches, sample=sample)
    if survey.rows:
        document = json.dumps(plan(survey))
        yield pa.RecordBatch.from_arrays([pa.array([document])], ["plan"])


def _survey_partition(
    sample: int, seed: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    rows = bad = zero = widest = 0
    narrowest = 2**31 - 1
    low = high = np.empty(0)
    lowest = LowestHashes(sample, seed)
    for batch in batches:
        values = batch.column(0)
        rows += len(values)
        bad += values.null_count
        values = values.drop_null()
        if not len(values):
            continue
        lengths = np.diff(values.offsets.to_numpy())
        narrowest, widest = min(narrowest, int(lengths.min())), max(widest, int(lengths.max()))
        if narrowest != widest or not widest:
            continue
        flat = np.asarray(values.flatten().to_numpy(zero_copy_only=False), np.float64)
        matrix = flat.reshape(-1, widest)
        sound = np.logical_and.reduce(np.abs(matrix) <= LARGEST, axis=1)
        if not sound.all():
            bad += int(len(sound) - sound.sum())
            matrix = matrix[sound]
        if not len(matrix):
            continue
        zero += len(matrix) - int(np.count_nonzero(matrix.any(axis=1)))
        if len(low):
            low = np.minimum(low, matrix.min(axis=0))
            high = np.maximum(high, matrix.max(axis=0))
        else:
            low, high = matrix.min(axis=0), matrix.max(axis=0)
        lowest.add(matrix)
    if not rows:
        return
    hashes, kept = lowest.kept()
    yield pa.RecordBatch.from_arrays(
        [
            pa.array([rows], pa.int64()),
            pa.array([bad], pa.int64()),
            pa.array([zero], pa.int64()),
            pa.array([narrowest], pa.int32()),
            pa.array([widest], pa.int32()),
            *(pa.array([a.tobytes()], pa.binary()) for a in (low, high, hashes, kept)),
        ],
        [field.split()[0] for field in _SCHEMA.split(", ")],
    )
