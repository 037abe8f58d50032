"""Streams a rank's rows from shards to batches, on threads beside the training loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.input.batches import Batch, BatchMaker
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.lane_rows import LaneRows
from sparkml_dist.deep.input.plan import EpochPlan
from sparkml_dist.deep.input.read_ahead import Read, ReadAhead, by_need

__all__ = ["Batch", "BatchStream", "EpochStreams"]

#: Most bytes of rows that the lanes of a rank hold together.
HELD_BYTES = 256 << 20


class BatchStream:
    """The batches of one rank in one epoch, made a few steps ahead by threads.

    Two threads read row groups in the order in which the steps need them; one assembles batches.
    The rows of a step depend only on the plan, so that a stream can start at any step without
    reading earlier rows.

    Memory: a row group for each lane, row groups read ahead (16 MiB and at least two), and waiting
    batches. If the row groups of all lanes together have more than 256 MiB (and are not larger than
    that each), lanes hold parts of row groups and read them several times.

    Parameters
    ----------
    read : callable
        ``read(shard, [row_group])`` returns a `Block` with as many rows as planned.
    plan : EpochPlan
        The epoch.
    lanes : sequence of int
        The lanes of this rank.
    n_features : int
        Number of features.
    inputs : InputSpec, optional
        Conversion to the network's inputs; one float32 vector by default.
    start_step : int, default=0
        Number of steps to skip.
    batch_size : int, optional
        Rows of a batch when ranks have unequal lanes (`rank_batch`); by default the rows of the
        lanes.
    label_dtype : dtype, default=int32
        Type of the labels.
    row_bytes : float, optional
        Bytes of a row in a block in memory; by default those of a dense row.
    ahead : int, default=4
        Most batches that wait.
    threads : int, default=2
        Number of reading threads.

    Examples
    --------
    >>> from sparkml_dist.deep.input.plan import plan_epoch
    >>> sizes = [shard.row_groups for shard in data.shards]
    >>> plan = plan_epoch(sizes, lanes=1, batch_size=64, seed=0, epoch=0)
    >>> with BatchStream(data.read_block, plan, range(1), 4) as batches:
    ...     sum(batch.rows for batch in batches)
    150
    """

    def __init__(
        self,
        read: Read,
        plan: EpochPlan,
        lanes: Sequence[int],
        n_features: int,
        inputs: InputSpec | None = None,
        *,
        start_step: int = 0,
        batch_size: int | None = None,
        label_dtype: npt.DTypeLike = np.int32,
        row_bytes: float | None = None,
        ahead: int = 4,
        threads: int = 2,
    ) -> None:
        self._plan = plan
        self._lanes = list(lanes)
        self._start = start_step
        self.batch_size = batch_size or sum(plan.quotas[lane] for lane in self._lanes)
        self._maker = BatchMaker(
            inputs or InputSpec.single(n_features),
            n_features,
            self.batch_size,
            label_dtype,
        )
        size = 4.0 * n_features if row_bytes is None else row_bytes
        self._first = _first_step(plan, self._lanes, start_step)
        most = _most_rows(plan, len(self._lanes), size)
        self._reader = ReadAhead(
            read,
            plan,
            by_need(plan, self._lanes, start_step=self._first, most_rows=most),
            row_bytes=size,
            threads=threads,
        )
        self._queue: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._stopped = threading.Event()
        self._made = False
        self._when_made: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._fill, name="sparkml_dist-batches", daemon=True)

    def start(self) -> BatchStream:
        """Start to read; further calls do nothing."""
        if self._thread.ident is None:
            self._thread.start()
        return self

    def when_made(self, action: Callable[[], None]) -> None:
        """Call `action` once when the last batch is made; at once if it is made already."""
        with self._lock:
            if not self._made:
                self._when_made = action
                return
        action()

    def close(self) -> None:
        """Stop reading, and wait for the threads to end."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.02)
            except queue.Empty:
                continue

    def __enter__(self) -> BatchStream:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _fill(self) -> None:
        try:
            with self._reader:
                for batch in self._batches():
                    self._queue.put(batch)
                    if self._stopped.is_set():
                        return
            with self._lock:
                self._made = True
            if self._when_made is not None:
                self._when_made()
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - raised in the consumer
            self._queue.put(error)

    def _batches(self) -> Iterator[Batch]:
        lanes = [LaneRows(self._reader, self._plan, lane, self._first) for lane in self._lanes]
        for step in range(self._first, self._plan.steps):
            batch = self._maker.make(lanes, last=step == self._plan.steps - 1)
            if step >= self._start:
                yield batch


class EpochStreams:
    """The streams of all epochs; each starts to read while the previous one ends.

    Otherwise the first step of an epoch would wait for a row group of every lane.

    Parameters
    ----------
    make : callable
        ``make(epoch, start_step)`` returns a `BatchStream`.
    epochs : int
        Number of epochs.

    Examples
    --------
    >>> with EpochStreams(make, 10) as streams:  # doctest: +SKIP
    ...     for epoch in range(10):
    ...         with streams(epoch) as batches:
    ...             ...
    """

    def __init__(self, make: Callable[[int, int], BatchStream], epochs: int) -> None:
        self._make = make
        self._epochs = epochs
        self._begun: dict[int, BatchStream] = {}
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self, epoch: int, start_step: int = 0) -> BatchStream:
        """Return the stream of an epoch, starting at a step."""
        with self._lock:
            stream = self._begun.pop(epoch, None) if start_step == 0 else None
        if stream is None:
            stream = self._make(epoch, start_step)
        stream.when_made(lambda: self._begin(epoch + 1))
        return stream

    def _begin(self, epoch: int) -> None:
        if epoch >= self._epochs:
            return
        stream = self._make(epoch, 0)
        with self._lock:
            if not self._closed:
                self._begun[epoch] = stream.start()

    def __enter__(self) -> EpochStreams:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
        for stream in self._begun.values():
            stream.close()
        self._begun.clear()


def _first_step(plan: EpochPlan, lanes: Sequence[int], start: int) -> int:
    """Return the step to read from: a last step without rows repeats rows of the previous one."""
    last = plan.steps - 1
    if 0 < start == last and all(plan.lane_rows[n] <= last * plan.quotas[n] for n in lanes):
        return last - 1
    return start


def _most_rows(plan: EpochPlan, lanes: int, row_bytes: float) -> int | None:
    """Return the most rows of a row group that a lane may hold; None when all of them fit."""
    largest = plan.largest_row_group
    budget = max(HELD_BYTES, 2 * largest * row_bytes)
    if lanes * min(largest, max(plan.lane_rows)) * row_bytes <= budget:
        return None
    return max(1, *plan.quotas, int(budget / (lanes * row_bytes)))
