"""Reads data sets of Minari in their Arrow layout, without the package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["read_minari"]

_COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")


def read_minari(spark: SparkSession, path: str | os.PathLike[str]) -> DataFrame:
    """Return the rows of a data set of Minari, lazily: one for each action, and the final state.

    The layout is that of Minari 0.5 with ``data_format="arrow"``: a folder ``data`` with a folder
    for each episode, whose Arrow files have a row more than the episode has actions, for its
    last observation.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    path : str or path-like
        The data set's folder, or its folder ``data``: a local path or URI that workers can read.

    Returns
    -------
    pyspark.sql.DataFrame
        ``episode`` (long), ``step`` (int), ``state`` (array of double), ``action`` (long) or
        ``action0``, ``action1``, … (double) where actions are numbers, ``reward``, ``terminated``,
        ``truncated``. The action of an episode's last row is null, as `Transitions` takes it.

    Raises
    ------
    StorageError
        ``no_episodes``: there are none in the folder.
    DataError
        ``column_not_found`` or ``column_type`` where the files have other columns.
    """
    home = Folder.at(path)
    if any(name.startswith("data/") for name in home.walk()):
        home = home.child("data")
    files: dict[int, list[str]] = {}
    for name in sorted(home.walk()):
        episode, _, file = name.partition("/")
        if episode.isdigit() and file.endswith((".arrow", ".feather")):
            files.setdefault(int(episode), []).append(name)
    if not files:
        raise StorageError(
            "no_episodes",
            f"There are no episodes in Arrow files in {home.location!r}.",
            "A data set of Minari has them in data/0, data/1, …; one in HDF5 is converted by "
            "Minari with data_format='arrow'.",
        )
    numbers = sorted(files)
    width = _action_width(_episode(home, files[numbers[0]]))
    acts = ["action bigint"] if width is None else [f"action{i} double" for i in range(width)]
    ends = ["reward double", "terminated boolean", "truncated boolean"]
    schema = ", ".join(["episode bigint", "step int", "state array<double>", *acts, *ends])
    names = [field.split()[0] for field in schema.split(", ")]

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for position in batch.column(0).to_pylist():
                number = numbers[position]
                columns = _rows(number, _episode(home, files[number]), width)
                yield pa.RecordBatch.from_arrays(columns, names)

    count = len(numbers)
    return spark.range(0, count, 1, min(count, 64)).mapInArrow(read, schema)


def _episode(home: Folder, names: list[str]) -> pa.Table:
    """Return the table of an episode's files."""
    parts = []
    for name in names:
        head, _, tail = name.rpartition("/")
        with home.child(head).opened(tail) as stream:
            parts.append(pa.ipc.open_file(pa.BufferReader(stream.read())).read_all())
    table = pa.concat_tables(parts)
    for column in _COLUMNS:
        if column not in table.column_names:
            raise DataError(
                "column_not_found",
                f"The episode in {home.uri(names[0])!r} has no column {column!r}.",
                f"Columns are: {', '.join(table.column_names)}.",
            )
    return table


def _action_width(table: pa.Table) -> int | None:
    """Return the number of an action's features; None where actions are integers of a list."""
    kind = table.schema.field("actions").type
    return None if pa.types.is_integer(kind) else _matrix(table.column("actions")).shape[1]


def _rows(number: int, table: pa.Table, width: int | None) -> list[pa.Array]:
    """Return the columns of an episode; its last row is the final observation only."""
    n = table.num_rows
    last = np.arange(n) == n - 1
    states = _matrix(table.column("observations"))
    offsets = pa.array(np.arange(0, states.size + 1, states.shape[1], dtype=np.int32))
    actions = table.column("actions").combine_chunks()
    if width is None:
        acts = [pa.array(actions.cast(pa.int64()).to_numpy(zero_copy_only=False), mask=last)]
    else:
        found = _matrix(table.column("actions"))
        acts = [pa.array(np.ascontiguousarray(found[:, i]), mask=last) for i in range(width)]
    rewards = pc.cast(table.column("rewards"), pa.float64()).to_numpy()
    return [
        pa.array(np.full(n, number, np.int64)),
        pa.array(np.arange(n, dtype=np.int32)),
        pa.ListArray.from_arrays(offsets, pa.array(states.ravel())),
        *acts,
        pa.array(rewards, mask=last),
        pa.array(np.where(last, False, table.column("terminations").to_numpy())),
        pa.array(np.where(last, False, table.column("truncations").to_numpy())),
    ]


def _matrix(column: Any) -> Any:
    """Return numbers, lists of numbers, or structs of them, as doubles (n, width)."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_struct(values.type):
        fields = [values.field(i) for i in range(values.type.num_fields)]
        return np.column_stack([_matrix(f) for f in fields])
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        flat = values.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
        return flat.reshape(len(values), -1)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)[:, None]
    raise DataError(
        "column_type",
        f"Observations or actions of the type {values.type} are not numbers.",
        "Flatten them before they are collected.",
    )
