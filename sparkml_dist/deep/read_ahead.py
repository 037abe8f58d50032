"""Reads row groups in the order in which a rank needs them, a few ahead, on threads."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.plan import EpochPlan, Piece
from sparkml_dist.errors import DataError, SparkMLDistError, StorageError

__all__ = ["HeldRows", "Read", "ReadAhead", "by_need"]

Read = Callable[[int, Sequence[int]], Block]

#: Bytes that are read before they are needed; at least one row group for each thread and one more.
AHEAD_BYTES = 16 << 20


@dataclass(frozen=True)
class HeldRows:
    """Rows of a lane in memory, in the order in which it gives them.

    Attributes
    ----------
    block : Block
        A row group, or the rows of one that are wanted.
    order : ndarray of int, shape (n,), or None
        Rows of the block, in order; None for all of them as they stand.
    """

    block: Block
    order: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.block if self.order is None else self.order)

    def rows(self, start: int, stop: int) -> slice | npt.NDArray[np.int64]:
        """Return where the rows from `start` to `stop` are in the block."""
        return slice(start, stop) if self.order is None else self.order[start:stop]


def by_need(
    plan: EpochPlan, lanes: Sequence[int], *, start_step: int = 0, most_rows: int | None = None
) -> Iterator[Piece]:
    """Yield what a rank reads in the order in which its steps use it up.

    Parameters
    ----------
    plan : EpochPlan
    lanes : sequence of int
        The lanes that the rank serves. In each step they are served in this order.
    start_step : int, default=0
        The first step.
    most_rows : int, optional
        Larger pieces are cut into pieces of so many rows, each of which is read on its own.
    """

    def lane_needs(place: int, lane: int) -> Iterator[tuple[int, int, Piece]]:
        quota = plan.quotas[lane]
        if not quota:
            return
        at = start_step * quota
        for piece in plan.pieces(lane, at):
            for start in range(piece.start, piece.stop, most_rows or len(piece)):
                stop = min(piece.stop, start + (most_rows or len(piece)))
                yield at // quota, place, Piece(piece.shard, piece.row_group, start, stop)
                at += stop - start

    needs = [lane_needs(place, lane) for place, lane in enumerate(lanes)]
    for _, _, piece in heapq.merge(*needs, key=lambda need: need[:2]):
        yield piece


class ReadAhead:
    """Gives the rows of pieces one after the other, read on threads before they are asked for.

    A row group that is still in somebody's hands is not read again: lanes that begin and end in
    the same one share it, and small data is read once in an epoch.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    plan : EpochPlan
    pieces : iterator of Piece
        In order of need.
    row_bytes : float
        Bytes of a row in memory.
    whole : bool, default=True
        Whether row groups are kept whole, or only the rows of a piece (a copy).
    threads : int, default=2
        How many read at the same time.
    """

    def __init__(
        self,
        read: Read,
        plan: EpochPlan,
        pieces: Iterator[Piece],
        *,
        row_bytes: float,
        whole: bool = True,
        threads: int = 2,
    ) -> None:
        self._read = read
        self._plan = plan
        self._pieces = pieces
        self._row_bytes = row_bytes
        self._whole = whole
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sparkml_dist-reader")
        self._waiting: deque[tuple[Piece, Future[HeldRows]]] = deque()
        self._bytes = 0.0
        self._known: WeakValueDictionary[tuple[int, int], Block] = WeakValueDictionary()
        # Of two that want the same row group one reads it. More locks than threads: those that
        # want others hardly ever wait.
        self._locks = [threading.Lock() for _ in range(16 * threads)]

    def __enter__(self) -> ReadAhead:
        self._fill()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def next(self) -> HeldRows:
        """Return the rows of the next piece; to be asked as often as there are pieces.

        Raises
        ------
        SparkMLDistError
            Where they could not be read, naming shard and row group.
        """
        piece, future = self._waiting.popleft()
        self._bytes -= len(piece) * self._row_bytes
        self._fill()
        return future.result()

    def _fill(self) -> None:
        while len(self._waiting) <= self._threads or self._bytes < AHEAD_BYTES:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._bytes += len(piece) * self._row_bytes
            self._waiting.append((piece, self._pool.submit(self._hold, piece)))

    def _hold(self, piece: Piece) -> HeldRows:
        block = self._block(piece.shard, piece.row_group)
        order = self._plan.order(piece.shard, piece.row_group, len(block))
        rows = order[piece.start : piece.stop]
        if self._whole:
            return HeldRows(block, rows)
        weight = None if block.weight is None else block.weight[rows]
        return HeldRows(Block(block.X[rows], block.y[rows], weight, block.key[rows]), None)

    def _block(self, shard: int, row_group: int) -> Block:
        key = (shard, row_group)
        with self._locks[hash(key) % len(self._locks)]:
            block = self._known.get(key)
            if block is None:
                block = self._read_named(shard, row_group)
                self._known[key] = block
        return block

    def _read_named(self, shard: int, row_group: int) -> Block:
        where = f"row group {row_group} of shard {shard}"
        try:
            block = self._read(shard, [row_group])
        except SparkMLDistError as error:
            message = f"{error.message} (In {where}.)"
            raise type(error)(error.code, message, error.hint) from error
        except Exception as error:
            raise StorageError(
                "row_group_not_read",
                f"{where[0].upper()}{where[1:]} cannot be read: {type(error).__name__}: {error}",
            ) from error
        planned = self._plan.rows_of(shard, row_group)
        if len(block) != planned:
            raise DataError(
                "row_group_differs",
                f"{where[0].upper()}{where[1:]} has {len(block):,} rows where {planned:,} were "
                "planned.",
            )
        return block
