"""Partial sums as Spark rows: split into chunks; one task adds up each chunk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.failures import failure_error, failure_record
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.sums.in_order import OrderedSum, sums_differ
from sparkml_dist.cluster.sums.layout import Arrays, Layout, Summands
from sparkml_dist.cluster.sums.summation_tree import Node, SummationTree
from sparkml_dist.cluster.tasks import is_last_attempt, task_attempts
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SCHEMA", "LeafTask", "added_up"]

#: Schema of the rows that a `LeafTask` returns. `kind` is "f" for floats, "i" for integers and
#: "error".
#: `cells` are the positions of `data` in a chunk that is mostly zero; null for a dense chunk.
SCHEMA = (
    "chunk int, kind string, start long, size long, note string, length int, cells binary, "
    "data binary"
)
_ARROW_SCHEMA = pa.schema(
    [
        ("chunk", pa.int32()),
        ("kind", pa.string()),
        ("start", pa.int64()),
        ("size", pa.int64()),
        ("note", pa.string()),
        ("length", pa.int32()),
        ("cells", pa.binary()),
        ("data", pa.binary()),
    ]
)
_CHUNK = 1 << 17  # values of 8 bytes: 1 MiB
_MOST_ADDERS = 32  # tasks that add up chunks; most sums have a single chunk
_ERROR = "error"
_TYPES = {"f": np.dtype("<f8"), "i": np.dtype("<i8")}


@dataclass(frozen=True)
class LeafTask:
    """Calls the leaves' functions in a worker and returns their sums as rows.

    Attributes
    ----------
    attempts : int
        How often Spark tries a task.
    cores : int
        Cores that a task owns.
    """

    attempts: int
    cores: int

    @classmethod
    def of(cls, info: SessionInfo, df: DataFrame) -> LeafTask:
        """Return a task with the session's settings."""
        return cls(task_attempts(df.sparkSession, info), info.task_cpus)

    def rows(
        self, leaves: Iterable[tuple[int, Callable[[], Summands]]]
    ) -> Iterator[pa.RecordBatch]:
        """Add up leaves along the tree, and yield its remaining nodes.

        Parameters
        ----------
        leaves : iterable of (position, function)
            In the order of positions. The first that fails ends the task with a row of
            kind "error".
        """
        found: OrderedSum | None = None
        for position, function in leaves:
            found = found or OrderedSum(position)
            try:
                with limit_threads(self.cores):
                    found.add(position, function())
            except Exception as error:  # noqa: BLE001 - a function may raise anything
                yield _failed(position, error, last=is_last_attempt(self.attempts))
                return
        if found is not None and found.layout is not None:
            for node in found.tree.nodes:
                yield from _rows(node, found.layout.to_json())


def added_up(
    parts: DataFrame, info: SessionInfo, name: Callable[[int], str], description: str
) -> Arrays | None:
    """Add up the rows of leaf tasks on executors, and return the one result.

    Each chunk of the arrays is added up by one task, from all tasks in the order of positions,
    with no more than one chunk for each level of the tree in memory.

    Parameters
    ----------
    parts : pyspark.sql.DataFrame
        Of `SCHEMA`.
    info : SessionInfo
    name : callable
        Returns what the leaf at a position is called in errors.
    description : str
        Shown in the Spark UI.

    Returns
    -------
    dict of ndarray, or None where there is no leaf

    Raises
    ------
    SparkMLDistError
        Of the first leaf that failed.
    """
    sums = (
        parts.repartition(min(info.slots or 2, _MOST_ADDERS), "chunk")
        .sortWithinPartitions("chunk", "start")
        .mapInArrow(_add_up, SCHEMA)
    )
    with job_description(parts.sparkSession, f"sparkml_dist: {description}"):
        table = sums.toArrow()
    return _read(table, name)


def _failed(position: int, error: Exception, *, last: bool = True) -> pa.RecordBatch:
    note = json.dumps(failure_record(error, last=last))
    return _row(-1, _ERROR, position, 1, note, np.empty(0))


def _rows(node: Node, note: str) -> Iterator[pa.RecordBatch]:
    chunk = 0
    for kind, values in zip("fi", node.values, strict=True):
        for at in range(0, max(len(values), kind == "f"), _CHUNK):
            part = values[at : at + _CHUNK]
            yield _row(chunk, kind, node.start, node.size, "" if chunk else note, part)
            chunk += 1


def _row(
    chunk: int, kind: str, start: int, size: int, note: str, values: npt.NDArray[Any]
) -> pa.RecordBatch:
    cells = np.flatnonzero(values)
    sparse = 3 * len(cells) < 2 * len(values)  # a cell costs 12 bytes, and 8 among all
    data = values[cells] if sparse else values
    columns: list[list[Any]] = [
        [chunk],
        [kind],
        [start],
        [size],
        [note],
        [len(values)],
        [cells.astype("<i4").tobytes() if sparse else None],
        [data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()],
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, _ARROW_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_ARROW_SCHEMA)


@dataclass(frozen=True)
class _Row:
    chunk: int
    kind: str
    start: int
    size: int
    note: str
    length: int
    cells: pa.Buffer | None
    data: pa.Buffer

    def values(self) -> npt.NDArray[Any]:
        """Return the chunk's numbers, in memory of their own."""
        found = np.zeros(self.length, _TYPES[self.kind].newbyteorder("="))
        self.into(found)
        return found

    def into(self, zeros: npt.NDArray[Any]) -> None:
        """Write the chunk's numbers into an array of zeros."""
        data = np.frombuffer(self.data, _TYPES[self.kind])
        if self.cells is None:
            zeros[...] = data
        else:
            zeros[np.frombuffer(self.cells, "<i4")] = data


def _read_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[_Row]:
    for batch in batches:
        *plain, cells, data = batch.columns
        for i, values in enumerate(zip(*(c.to_pylist() for c in plain), strict=True)):
            buffers = [c[i].as_buffer() if c[i].is_valid else None for c in (cells, data)]
            yield _Row(*values, *buffers)


def _add_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Add up the chunks of a partition; rows come in the order of chunks and positions."""
    first: _Row | None = None
    tree = SummationTree()
    for row in _read_rows(batches):
        if first is not None and row.chunk != first.chunk:
            yield _total(first, tree)
            first, tree = None, SummationTree()
        if row.kind == _ERROR:
            yield _row(-1, _ERROR, row.start, 1, row.note, np.empty(0))
            continue
        first = first or row
        if row.note != first.note:
            found, common = Layout.from_json(row.note), Layout.from_json(first.note)
            yield _failed(row.start, sums_differ(common, found))
            continue
        try:
            tree.add(Node(row.start, row.size, (row.values(),)))
        except DataError as error:
            yield _failed(row.start, error)
    if first is not None:
        yield _total(first, tree)


def _total(first: _Row, tree: SummationTree) -> pa.RecordBatch:
    try:
        (values,) = tree.total()
    except DataError as error:
        return _failed(first.start, error)
    return _row(first.chunk, first.kind, 0, 0, first.note, values)


def _read(table: pa.Table, name: Callable[[int], str]) -> Arrays | None:
    rows = sorted(_read_rows(table.to_batches()), key=lambda row: (row.chunk, row.start))
    if not rows:
        return None
    if rows[0].kind == _ERROR:
        raise failure_error(json.loads(rows[0].note), f"{name(rows[0].start)}: ")
    layout = Layout.from_json(rows[0].note)
    floats, ints = layout.lengths()
    vectors: dict[str, npt.NDArray[Any]] = {"f": np.zeros(floats), "i": np.zeros(ints, np.int64)}
    at = {"f": 0, "i": 0}
    for row in rows:
        end = at[row.kind] + row.length
        row.into(vectors[row.kind][at[row.kind] : end])
        at[row.kind] = end
    assert at == {"f": floats, "i": ints}
    return layout.unpack(vectors["f"], vectors["i"])
