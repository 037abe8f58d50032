"""Reads row groups on threads, a few ahead, in the order in which a rank needs them."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.input.plan import EpochPlan, Piece
from sparkml_dist.errors import SparkMLDistError, StorageError

__all__ = ["Read", "ReadAhead", "by_need"]

Read = Callable[[int, Sequence[int]], Block]

#: Bytes to read ahead; at least one row group for each thread and one more.
AHEAD_BYTES = 16 << 20


def by_need(
    plan: EpochPlan, lanes: Sequence[int], *, start_step: int = 0, most_rows: int | None = None
) -> Iterator[Piece]:
    """Yield the pieces that a rank reads, in the order in which its steps need them.

    Parameters
    ----------
    plan : EpochPlan
    lanes : sequence of int
        The lanes of the rank, in the order of each step.
    start_step : int, default=0
        The first step.
    most_rows : int, optional
        Larger pieces are split into pieces of this many rows, each of which is read separately.
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
    """Returns the blocks of pieces in order, and reads the next ones on threads.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    plan : EpochPlan
    pieces : iterator of Piece
        In the order in which they are needed.
    row_bytes : float
        Bytes of a row in memory.
    threads : int, default=2
        Number of reading threads.
    """

    def __init__(
        self,
        read: Read,
        plan: EpochPlan,
        pieces: Iterator[Piece],
        *,
        row_bytes: float,
        threads: int = 2,
    ) -> None:
        self._read = read
        self._plan = plan
        self._pieces = pieces
        self._row_bytes = row_bytes
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sparkml_dist-reader")
        self._waiting: deque[tuple[Piece, Future[Block]]] = deque()
        self._bytes = 0.0
        # Lanes that start in the same row group, as all do with small data, read it once together.
        self._last: deque[tuple[Piece, Future[Block]]] = deque(maxlen=threads)

    def __enter__(self) -> ReadAhead:
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def next(self) -> Block:
        """Return the shuffled rows of the next piece; call it once for each piece.

        Raises
        ------
        SparkMLDistError
            The rows could not be read; the message has shard and row group.
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
            self._waiting.append((piece, self._submit(piece)))

    def _submit(self, piece: Piece) -> Future[Block]:
        for known, whole in self._last:
            if (known.shard, known.row_group) == (piece.shard, piece.row_group):
                # The pool starts tasks in order: the awaited one has started before.
                return self._pool.submit(self._shared, piece, whole)
        whole = Future()
        self._last.append((piece, whole))
        return self._pool.submit(self._first, piece, whole)

    def _first(self, piece: Piece, whole: Future[Block]) -> Block:
        try:
            whole.set_result(self._read_named(piece.shard, piece.row_group))
        except BaseException as error:
            whole.set_exception(error)
            raise
        return self._taken(piece, whole.result())

    def _shared(self, piece: Piece, whole: Future[Block]) -> Block:
        return self._taken(piece, whole.result())

    def _taken(self, piece: Piece, block: Block) -> Block:
        order = self._plan.order(piece.shard, piece.row_group, len(block))
        rows = order[piece.start : piece.stop]
        weight = None if block.weight is None else block.weight[rows]
        # mode="clip" skips numpy's bounds check of each row.
        dense = isinstance(block.X, np.ndarray)
        X = np.take(block.X, rows, axis=0, mode="clip") if dense else block.X[rows]
        return Block(X, block.y[rows], weight, block.key[rows])

    def _read_named(self, shard: int, row_group: int) -> Block:
        where = f"row group {row_group} of shard {shard}"
        try:
            block = self._read(shard, [row_group])
        except SparkMLDistError as error:
            message = f"{error.message} (In {where}.)"
            raise type(error)(error.code, message, error.hint) from error
        except Exception as error:
            raise StorageError(
                "file_not_read",
                f"{where[0].upper()}{where[1:]} cannot be read: {type(error).__name__}: {error}",
            ) from error
        planned = self._plan.rows_of(shard, row_group)
        if len(block) != planned:
            raise StorageError(
                "file_altered",
                f"{where[0].upper()}{where[1:]} has {len(block):,} rows instead of the planned "
                f"{planned:,}.",
            )
        return block
