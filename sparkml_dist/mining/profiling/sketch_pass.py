"""The pass over a table: every task sketches its rows, then tasks merge the sketches by column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.errors import DataError
from sparkml_dist.mining.profiling.column_plan import ColumnPlan, countable
from sparkml_dist.mining.profiling.column_sketch import ColumnSketch, as_numbers
from sparkml_dist.mining.profiling.column_summary import summarize
from sparkml_dist.mining.profiling.pair_moments import PairMoments

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SketchSizes", "TableSketch", "sketch_table"]

_PAIRS = -1  # in place of a column's number
#: Greatest number of groups in which columns are merged: a group costs milliseconds.
_GROUPS = 256


@dataclass(frozen=True)
class SketchSizes:
    """Sizes of the sketches of a column, smaller for tables of many columns.

    Attributes
    ----------
    quantile_k, distinct_p, frequent_lg : int
        See `QuantileSketch`, `DistinctSketch` and `FrequentValues`.
    """

    quantile_k: int
    distinct_p: int
    frequent_lg: int

    @classmethod
    def fitting(cls, columns: int) -> SketchSizes:
        """Return sizes with which a task's sketches stay below about 100 MB."""
        if columns <= 200:
            return cls(1024, 14, 10)
        return cls(512, 12, 8) if columns <= 1000 else cls(256, 11, 6)


@dataclass(frozen=True)
class TableSketch:
    """The results of one pass.

    Attributes
    ----------
    columns : list of dict
        One summary for each column, in the table's order.
    correlations : ndarray of shape (d, d)
    peak_worker_rss : int
        Peak memory of a worker, bytes.
    """

    columns: list[dict[str, Any]]
    correlations: np.ndarray[Any, Any]
    peak_worker_rss: int


def sketch_table(
    df: DataFrame, plans: list[ColumnPlan], correlated: list[int], top: int
) -> TableSketch:
    """Read the table once and return the summaries of its columns.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    plans : list of ColumnPlan
    correlated : list of int
        Numbers of the columns whose pairs are correlated.
    top : int
        Frequent values in a summary.

    Raises
    ------
    DataError
        ``empty_data``.
    """
    from pyspark.sql import functions as F

    sizes = SketchSizes.fitting(len(plans))
    joined_at_once = -(-len(plans) // _GROUPS)

    def sketch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        part = context.partitionId() if context is not None else 0
        with PeakMemory() as memory:
            columns = [
                ColumnSketch(p, sizes.quantile_k, sizes.distinct_p, sizes.frequent_lg)
                for p in plans
            ]
            pairs: PairMoments | None = None
            for batch in batches:
                if not batch.num_rows:
                    continue
                for i, column in enumerate(columns):
                    column.update(batch.column(i))
                if len(correlated) > 1:
                    block = PairMoments.of(_matrix(batch, correlated))
                    pairs = pairs.merge(block) if pairs else block
            for column in columns:
                yield _row(column.plan.index, part, column.to_bytes(), memory.so_far())
        if pairs is not None:
            yield _row(_PAIRS, part, pairs.arrays.astype("<f8").tobytes(), memory.so_far())

    def join(table: pa.Table) -> pa.Table:
        states: dict[int, list[bytes]] = {}
        table = table.sort_by("part")  # a fixed order, which decides the last digits
        for number, state in zip(
            table.column("number").to_pylist(), table.column("state").to_pylist(), strict=True
        ):
            states.setdefault(number, []).append(state)
        found = {
            number: _correlations(parts, len(correlated))
            if number == _PAIRS
            else json.dumps(summarize(_merged(parts), top))
            for number, parts in states.items()
        }
        return _joined(found, max(table.column("peak").to_pylist()))

    parts = countable(df, plans).mapInArrow(sketch, "number int, part int, state binary, peak long")
    group = F.floor(F.col("number") / joined_at_once)
    joined = parts.groupBy(group).applyInArrow(join, "number int, found string, peak long")
    rows = {row["number"]: row for row in joined.collect()}
    matrix = np.full((len(correlated), len(correlated)), np.nan)
    if _PAIRS in rows:
        matrix = np.array(json.loads(rows[_PAIRS]["found"]), dtype=float)
    found = {n: json.loads(row["found"]) for n, row in rows.items() if n != _PAIRS}
    if not found or not found[0]["rows"]:  # a table without partitions runs no tasks
        raise DataError("empty_data", "The table has no rows.", "Check the source and the filters.")
    peak = max(row["peak"] for row in rows.values())
    return TableSketch([found[p.index] for p in plans], matrix, peak)


def _row(number: int, part: int, state: bytes, peak: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([number], pa.int32()),
            pa.array([part], pa.int32()),
            pa.array([state], pa.binary()),
            pa.array([peak], pa.int64()),
        ],
        ["number", "part", "state", "peak"],
    )


def _joined(found: dict[int, str], peak: int) -> pa.Table:
    return pa.table(
        {
            "number": pa.array(list(found), pa.int32()),
            "found": pa.array(list(found.values()), pa.string()),
            "peak": pa.array([peak] * len(found), pa.int64()),
        }
    )


def _merged(states: list[bytes]) -> ColumnSketch:
    whole = ColumnSketch.from_bytes(states[0])
    for state in states[1:]:
        whole.merge(ColumnSketch.from_bytes(state))
    return whole


def _matrix(batch: pa.RecordBatch, columns: list[int]) -> np.ndarray[Any, Any]:
    X = np.full((batch.num_rows, len(columns)), np.nan)
    for j, i in enumerate(columns):
        column = batch.column(i)
        if column.null_count:
            X[column.is_valid().to_numpy(zero_copy_only=False), j] = as_numbers(column.drop_null())
        else:
            X[:, j] = as_numbers(column)
    return X


def _correlations(states: list[bytes], d: int) -> str:
    pairs: PairMoments | None = None
    for state in states:
        part = PairMoments(np.frombuffer(state, "<f8").reshape(4, d, d))
        pairs = pairs.merge(part) if pairs else part
    assert pairs is not None
    r = pairs.correlations()
    return json.dumps([[None if np.isnan(v) else v for v in row] for row in r.tolist()])
