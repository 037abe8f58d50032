"""Streams a rank's rows from shards to batches, on a thread beside the training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.plan import EpochPlan, Piece

__all__ = ["Batch", "BatchStream", "lane_rows"]

#: Row groups whose rows are shuffled among each other.
WINDOW = 4

Read = Callable[[int, Sequence[int]], Block]


@dataclass(frozen=True)
class Batch:
    """What a rank trains on in one step.

    Attributes
    ----------
    x : ndarray of float32, shape (batch_size, *input_shape)
        Features. Rows past `rows` repeat others, so that they disturb no batch statistics.
    y : ndarray, shape (batch_size,)
        Class codes (int32) or targets.
    weight : ndarray of float32, shape (batch_size,)
        Row weights; 0 past `rows`.
    rows : int
        Rows that count; they come first.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32]
    rows: int


@dataclass(frozen=True)
class _Rows:
    """Rows of a lane; `X` may be CSR."""

    X: Any
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Any) -> _Rows:
        weight = None if self.weight is None else self.weight[index]
        return _Rows(self.X[index], self.y[index], weight)


def lane_rows(
    read: Read, pieces: Sequence[Piece], size: int, rng: np.random.Generator
) -> Iterator[_Rows]:
    """Yield the rows of a lane in shuffled batches of `size`; the last one may be smaller.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    pieces : sequence of Piece
        What to read, in order.
    size : int
        Rows of a batch.
    rng : numpy.random.Generator
        Shuffles the rows of `WINDOW` row groups (more where these are smaller than a batch).
    """
    held: list[_Rows] = []
    for i, piece in enumerate(pieces):
        block = read(piece.shard, [piece.row_group])
        whole = len(piece) == len(block)
        cut = slice(None) if whole else slice(piece.start, piece.stop)
        held.append(_Rows(block.X, block.y, block.weight).take(cut))
        last = i == len(pieces) - 1
        if len(held) < WINDOW and not last:
            continue
        window = _joined(held)
        order = rng.permutation(len(window))
        stop = len(window) if last else len(window) - len(window) % size
        for start in range(0, stop, size):
            yield window.take(order[start : min(start + size, stop)])
        held = [window.take(order[stop:])] if stop < len(window) else []


def _joined(parts: list[_Rows]) -> _Rows:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0].X, np.ndarray):
        features = np.concatenate([p.X for p in parts])
    else:
        import scipy.sparse as sp

        features = sp.vstack([p.X for p in parts], format="csr")
    weights = [p.weight for p in parts if p.weight is not None]
    return _Rows(
        features,
        np.concatenate([p.y for p in parts]),
        np.concatenate(weights) if weights else None,
    )


class BatchStream:
    """The batches of one rank in one epoch, made by a thread a few steps ahead.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block`.
    plan : EpochPlan
        The epoch.
    lanes : sequence of int
        The lanes that this rank serves.
    n_features : int
        Features in a row.
    input_shape : sequence of int
        Shape of a row as the network takes it.
    ahead : int, default=4
        Batches that may wait. Memory is bounded by these and by `WINDOW` row groups, twice, for
        each lane.

    Examples
    --------
    >>> with BatchStream(data.read_block, plan, [0], 784, (28, 28, 1)) as batches:
    ...     for batch in batches:  # doctest: +SKIP
    ...         step(batch)
    """

    def __init__(
        self,
        read: Read,
        plan: EpochPlan,
        lanes: Sequence[int],
        n_features: int,
        input_shape: Sequence[int],
        *,
        ahead: int = 4,
    ) -> None:
        self._read = read
        self._plan = plan
        self._lanes = list(lanes)
        self._n_features = n_features
        self._input_shape = tuple(input_shape)
        self._queue: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="sparkml_dist-batches", daemon=True)

    @property
    def batch_size(self) -> int:
        """Rows of each batch."""
        return self._plan.lane_batch * len(self._lanes)

    def __enter__(self) -> BatchStream:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def __iter__(self) -> Iterator[Batch]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _fill(self) -> None:
        try:
            for batch in self._batches():
                self._queue.put(batch)
                if self._stopped.is_set():
                    return
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - raised by the consumer
            self._queue.put(error)

    def _batches(self) -> Iterator[Batch]:
        streams = [
            lane_rows(
                self._read,
                self._plan.lanes[lane],
                self._plan.lane_batch,
                np.random.default_rng((*self._plan.seed, lane)),
            )
            for lane in self._lanes
        ]
        spare: tuple[Any, Any] | None = None
        for _ in range(self._plan.steps):
            parts = [rows for stream in streams if (rows := next(stream, None)) is not None]
            batch = self._assemble(parts, spare)
            spare = batch.x[:1], batch.y[:1]
            yield batch

    def _assemble(self, parts: list[_Rows], spare: tuple[Any, Any] | None) -> Batch:
        size = self.batch_size
        x = np.zeros((size, self._n_features), np.float32)
        y = np.zeros(size, parts[0].y.dtype if parts else np.int32)
        weight = np.zeros(size, np.float32)
        at = 0
        for part in parts:
            end = at + len(part)
            x[at:end] = part.X if isinstance(part.X, np.ndarray) else part.X.toarray()
            y[at:end] = part.y
            weight[at:end] = 1.0 if part.weight is None else part.weight
            at = end
        rows = at
        if spare is not None and not parts:
            x[:1], y = spare[0].reshape(1, -1), np.full(size, spare[1][0])
            at = 1
        if 0 < at < size:
            again = np.resize(np.arange(at), size - at)
            x[at:], y[at:] = x[again], y[again]
        return Batch(x.reshape(size, *self._input_shape), y, weight, rows)
