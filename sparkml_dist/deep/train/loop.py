"""The training loop of one rank: epochs, steps, checks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import keras, tf
from sparkml_dist.deep.checkpoint.progress_point import ProgressPoint
from sparkml_dist.deep.input.pipeline import Batch, BatchStream
from sparkml_dist.deep.train.checkpointer import Checkpointer
from sparkml_dist.deep.train.coupling import Coupling
from sparkml_dist.deep.train.shared_mean import LOST_RANK
from sparkml_dist.errors import TrainingError

__all__ = [
    "AtEnd",
    "EpochReport",
    "LossWatch",
    "as_tensor",
    "step_function",
    "tensors",
    "train_epochs",
]

_BEGINNING = ProgressPoint()
# TensorFlow's kernels require this alignment, and crash the process without it.
_ALIGNMENT = 64

AtEnd = Callable[[int, dict[str, Any]], tuple[dict[str, Any], bool]]


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch, as rank 0 reports it.

    Attributes
    ----------
    epoch : int
        Number of the epoch, counted from 0.
    logs : dict
        Metrics over the rows of all ranks.
    steps, rows : int
        Steps, and rows of this rank.
    seconds : float
        Duration of the epoch.
    waited : float
        Seconds spent waiting for data.
    weights_sha256 : str
        Checksum of the weights at its end, equal on all ranks.
    """

    epoch: int
    logs: dict[str, Any]
    steps: int
    rows: int
    seconds: float
    waited: float
    weights_sha256: str = field(repr=False)


class LossWatch:
    """Checks each loss after the next step has been started.

    Reading a loss waits for its step, and an accelerator would be idle meanwhile. All ranks have
    the same losses, and so stop at the same step.
    """

    def __init__(self) -> None:
        self._last: tuple[Any, int, int] | None = None

    def add(self, loss: Any, epoch: int, step: int) -> None:
        """Store the loss of a step, and check the previous one.

        Parameters
        ----------
        loss : tensor of shape ()
        epoch, step : int
            Epoch, counted from 0, and step, counted from 1, of the loss.

        Raises
        ------
        TrainingError
            ``diverged``, with the step.
        """
        self.finish()
        self._last = (loss, epoch, step)

    def finish(self) -> None:
        """Check the last loss; call it before using the weights, for example in a checkpoint.

        Raises
        ------
        TrainingError
            ``diverged``, with the step.
        """
        if self._last is None:
            return
        (loss, epoch, step), self._last = self._last, None
        if not math.isfinite(float(loss)):
            raise TrainingError(
                "diverged",
                f"The loss became {float(loss)} in step {step} of epoch {epoch + 1}.",
                "Lower the learning rate, clip gradients, and look for missing or very large "
                "features.",
            )


def train_epochs(
    coupling: Coupling,
    stream: Callable[[int, int], BatchStream],
    arrays: Callable[[Batch], tuple[Any, Any]],
    epochs: int,
    report: Callable[[EpochReport], None],
    at_end: AtEnd | None = None,
    checkpoints: Checkpointer | None = None,
    start: ProgressPoint = _BEGINNING,
) -> list[EpochReport]:
    """Train for `epochs` epochs.

    Parameters
    ----------
    coupling : Coupling
        The model, coupled with those of the other ranks.
    stream : callable
        ``stream(epoch, step)`` returns the batches of this rank, starting at a step of an epoch.
    arrays : callable
        ``arrays(batch)`` returns the inputs of the network and of its loss.
    epochs : int
        Number of epochs, unless `at_end` stops the training earlier.
    report : callable
        Called at the end of each epoch.
    at_end : callable, optional
        ``at_end(epoch, logs)`` is called on every rank at the end of each epoch, before the
        weights are compared; returns further logs, and whether to stop the training.
    checkpoints : Checkpointer, optional
        Writes checkpoints.
    start : ProgressPoint
        Where to start; the model has the weights of that point.

    Returns
    -------
    list of EpochReport

    Raises
    ------
    TrainingError
        ``diverged``, with the step; ``weights_differ``.
    ConnectionError
        Another rank of this host has ended.
    """
    step = step_function(coupling)
    watch = LossWatch()
    reports = [EpochReport(**r) for r in start.reports]
    if reports and start.step == 0:
        reports[-1] = replace(reports[-1], rows=start.rows)
    done = start.steps
    for epoch in range(start.epoch, epochs):
        at = start if epoch == start.epoch and start.step else ProgressPoint(epoch, steps=done)
        begun, waited, steps, rows = time.perf_counter() - at.seconds, at.waited, at.step, at.rows
        with stream(epoch, at.step) as batches:
            iterator = iter(batches)
            while True:
                asked = time.perf_counter()
                batch = next(iterator, None)
                waited += time.perf_counter() - asked
                if batch is None:
                    break
                data = tensors(batch, arrays)
                if checkpoints is not None and steps == at.step and steps > 0:
                    coupling.build_metrics(data)
                    checkpoints.load_metrics()
                elif checkpoints is not None and steps > 0 and checkpoints.due(done):
                    seconds, past = time.perf_counter() - begun, tuple(map(asdict, reports))
                    watch.finish()
                    coupling.average_state()
                    checkpoints.save(ProgressPoint(epoch, steps, done, rows, seconds, waited, past))
                watch.add(step(data), epoch, steps + 1)
                steps += 1
                done += 1
                rows += batch.rows
        watch.finish()
        logs = coupling.epoch_logs()
        coupling.average_state()
        stop = False
        if at_end is not None:
            more, stop = at_end(epoch, logs)
            logs = {**logs, **more}
        digest = coupling.check_equal(epoch)
        seconds = time.perf_counter() - begun
        reports.append(EpochReport(epoch, logs, steps, rows, seconds, waited, digest))
        report(reports[-1])
        if stop:
            break
        if checkpoints is not None and checkpoints.due(done, epoch_ends=True):
            past = tuple(map(asdict, reports))
            checkpoints.save(ProgressPoint(epoch + 1, steps=done, rows=rows, reports=past))
    return reports


def step_function(coupling: Coupling) -> Callable[[Any], Any]:
    """Return a coupling's step, compiled unless the model runs eagerly.

    It raises a plain `ConnectionError` after another rank of this host has ended.
    """
    step = coupling.train_step
    if not coupling.model.run_eagerly:
        step = tf.function(step, autograph=False, jit_compile=False)

    def guarded(data: Any) -> Any:
        try:
            return step(data)
        except tf.errors.OpError as error:
            # TensorFlow wraps the error of the reduction into pages about the graph.
            if LOST_RANK in str(error):
                raise ConnectionError(f"{LOST_RANK}.") from error
            raise

    return guarded


def tensors(batch: Batch, arrays: Callable[[Batch], tuple[Any, Any]]) -> tuple[Any, Any, Any, Any]:
    """Return a batch as the arguments of `Coupling.train_step`."""
    x, y = arrays(batch)
    return (
        keras.tree.map_structure(as_tensor, x),
        keras.tree.map_structure(as_tensor, y),
        as_tensor(batch.weight),
        tf.constant(batch.rows),
    )


def as_tensor(array: Any) -> Any:
    """Return a tensor of an array; shares the memory of an array with a suitable layout.

    `tf.convert_to_tensor` copies, which takes as long as assembling the batch;
    `tf.data.Dataset.from_generator` copies twice.

    Parameters
    ----------
    array : ndarray, tensor or scalar
        An array must not be written to afterwards; those of `Batch` are not.

    Returns
    -------
    tensor
    """
    if (
        isinstance(array, np.ndarray)
        and array.nbytes
        and array.ctypes.data % _ALIGNMENT == 0
        and array.flags.c_contiguous
        and array.flags.writeable
        and array.dtype.kind in "fiu"
    ):
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)
