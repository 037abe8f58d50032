"""Rows of a DataFrame on their way to one task: packed where they are, put together there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.dataset.categories import canonical, category_list
from sparkml_dist.dataset.statistics import MAX_CATEGORIES, not_utf8, too_many_categories
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.distinct_rows import distinct_rows

__all__ = ["PACKED", "Gathered", "gathered_rows", "held_bytes", "packed_rows"]

#: Columns of what `packed_rows` yields: blocks of distinct rows, and at the end of a partition the
#: values of each column, by which the codes of its blocks are numbered.
PACKED = pa.schema(
    [
        ("source", pa.int64()),
        ("codes", pa.binary()),
        ("weights", pa.binary()),
        ("values", pa.list_(pa.list_(pa.binary()))),
        ("complete", pa.bool_()),
    ]
)
_ROWS_AT_ONCE = 65_536
_MISSING = b"NaN"  # of a double


def held_bytes(rows: int, width: int, states: int) -> int:
    """Return what distinct rows take in the memory of the task that counts them.

    Parameters
    ----------
    rows : int
        Number of distinct rows.
    width, states : int
        Number of variables, and of their states together.
    """
    # A byte or two for a code, kept by rows and by columns; a weight; an indicator for each state.
    return rows * (4 * width + 12 + 4 * states)


def packed_rows(
    batches: Iterator[pa.RecordBatch], *, names: Sequence[str], most_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Pack the rows of a partition: a code for each value, and equal rows of a block once.

    Parameters
    ----------
    batches : iterator of pyarrow.RecordBatch
        Of strings.
    names : sequence of str
        Of the columns.
    most_bytes : int
        Rows that take more are left out, and only the values of their columns are kept.

    Yields
    ------
    pyarrow.RecordBatch
        See `PACKED`.
    """
    from pyspark import TaskContext

    context = TaskContext.get()
    source = context.partitionId() if context is not None else 0
    seen: list[dict[bytes, int]] = [{} for _ in names]
    complete, used = True, 0
    arrays = (pa.StructArray.from_arrays(b.columns, b.schema.names) for b in batches)
    for rows in joined_batches(arrays, _ROWS_AT_ONCE):
        columns = [rows.field(i).cast(pa.binary()) for i in range(len(names))]
        if complete:
            codes = np.stack([_coded(c, own) for c, own in zip(columns, seen, strict=True)], axis=1)
            codes, weights = distinct_rows(codes, np.ones(len(codes), np.int64))
            used += held_bytes(len(codes), len(names), sum(map(len, seen)))
            complete = used <= most_bytes
            if complete:
                yield _packed(source, codes=codes, weights=weights)
        else:
            for column, own in zip(columns, seen, strict=True):
                if len(own) <= MAX_CATEGORIES:
                    for value in pc.unique(column).drop_null().to_pylist():
                        own.setdefault(value, len(own))
        if any(len(own) > MAX_CATEGORIES for own in seen):
            complete = False  # the column is refused
    yield _packed(source, values=[list(own)[: MAX_CATEGORIES + 1] for own in seen], whole=complete)


def _coded(column: pa.Array, seen: dict[bytes, int]) -> npt.NDArray[np.int16]:
    found = column.dictionary_encode()
    places = [seen.setdefault(value, len(seen)) for value in found.dictionary.to_pylist()]
    indices = found.indices
    if indices.null_count:
        indices = indices.fill_null(len(places))
    # A column of more values than int16 tells apart is refused, and its codes do not matter.
    return np.array([*places, -1], np.int64).astype(np.int16)[np.asarray(indices)]


def _packed(
    source: int,
    *,
    codes: Codes | None = None,
    weights: npt.NDArray[np.int64] | None = None,
    values: list[list[bytes]] | None = None,
    whole: bool = True,
) -> pa.RecordBatch:
    columns: list[list[Any]] = [
        [source],
        [None if codes is None else codes.astype("<i2").tobytes()],
        [None if weights is None else weights.astype("<i8").tobytes()],
        [values],
        [whole],
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, PACKED, strict=True)], schema=PACKED
    )


@dataclass(frozen=True)
class Gathered:
    """The rows of a DataFrame in one task.

    Attributes
    ----------
    lists : list of tuple of str
        Categories of each column.
    codes : ndarray of int, shape (n, d), or None
        Positions in these lists, -1 where a value is missing; None where there are too many rows.
    weights : ndarray of int64, shape (n,), or None
    """

    lists: list[tuple[str, ...]]
    codes: Codes | None
    weights: npt.NDArray[np.int64] | None


def gathered_rows(
    batches: Iterator[pa.RecordBatch], *, names: Sequence[str], most_bytes: int
) -> Gathered:
    """Put the rows together that `packed_rows` packed.

    Raises
    ------
    DataError
        ``too_many_categories``, ``not_utf8``.
    """
    width = len(names)
    blocks: list[tuple[int, Codes, npt.NDArray[np.int64]]] = []
    values: dict[int, list[list[bytes]]] = {}
    complete, rows = True, 0
    for batch in batches:
        for row in batch.to_pylist():
            complete &= row["complete"]
            if row["values"] is not None:
                values[row["source"]] = row["values"]
            elif complete:
                codes = np.frombuffer(row["codes"], "<i2").reshape(-1, width)
                blocks.append((row["source"], codes, np.frombuffer(row["weights"], "<i8")))
                rows += len(codes)
                complete = held_bytes(rows, width, 0) <= most_bytes
        if not complete:
            blocks.clear()
    lists = [
        _categories(names[i], {v for own in values.values() for v in own[i]}) for i in range(width)
    ]
    complete &= held_bytes(rows, width, sum(map(len, lists))) <= most_bytes
    if not complete:
        return Gathered(lists, None, None)
    kind = np.int8 if max(map(len, lists), default=0) <= np.iinfo(np.int8).max else np.int16
    places = {source: _places(own, lists, kind) for source, own in values.items()}
    parts = [
        np.stack([places[source][i][codes[:, i]] for i in range(width)], axis=1)
        for source, codes, _ in blocks
    ]
    none = np.zeros((0, width), kind)
    return Gathered(
        lists,
        np.concatenate(parts or [none]),
        np.concatenate([w for _, _, w in blocks] or [np.zeros(0, np.int64)]),
    )


def _categories(name: str, values: set[bytes]) -> tuple[str, ...]:
    values = values - {_MISSING}
    if len(values) > MAX_CATEGORIES:
        raise too_many_categories(name)
    try:
        return category_list(value.decode() for value in values)
    except UnicodeDecodeError:
        raise not_utf8("categorical", name) from None


def _places(
    own: list[list[bytes]], lists: list[tuple[str, ...]], kind: type[np.signedinteger[Any]]
) -> list[npt.NDArray[Any]]:
    """Return the position in the common list of each value of a partition; -1 for missing."""
    found = []
    for values, categories in zip(own, lists, strict=True):
        place = {category: i for i, category in enumerate(categories)}
        at = [-1 if v == _MISSING else place[canonical(v.decode())] for v in values]
        found.append(np.array([*at, -1], kind))  # codes of -1 take the last
    return found
