"""The training loop of one rank: epochs, steps, checks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.deep.backend import keras, tf
from sparkml_dist.deep.coupling import Coupling
from sparkml_dist.deep.loss_watch import LossWatch
from sparkml_dist.deep.pipeline import Batch, BatchStream
from sparkml_dist.deep.shared_mean import LOST_RANK
from sparkml_dist.deep.tensors import as_tensor

__all__ = ["AtEnd", "EpochReport", "step_function", "tensors", "train_epochs"]

AtEnd = Callable[[int, dict[str, Any]], tuple[dict[str, Any], bool]]


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch, as rank 0 tells it.

    Attributes
    ----------
    epoch : int
        Number, from 0.
    logs : dict
        Metrics over the rows of all ranks.
    steps, rows : int
        Steps, and rows of this rank.
    seconds : float
        Time of the epoch.
    waited : float
        Seconds of it spent waiting for data.
    weights_sha256 : str
        Of the weights at its end, equal on all ranks.
    """

    epoch: int
    logs: dict[str, Any]
    steps: int
    rows: int
    seconds: float
    waited: float
    weights_sha256: str = field(repr=False)


def train_epochs(
    coupling: Coupling,
    stream: Callable[[int], BatchStream],
    arrays: Callable[[Batch], tuple[Any, Any]],
    epochs: int,
    report: Callable[[EpochReport], None],
    at_end: AtEnd | None = None,
) -> list[EpochReport]:
    """Train for `epochs` epochs.

    Parameters
    ----------
    coupling : Coupling
        The model and its ties to the other ranks.
    stream : callable
        ``stream(epoch)`` returns the batches of this rank.
    arrays : callable
        ``arrays(batch)`` returns what the network takes and what its loss takes.
    epochs : int
        How many, unless `at_end` stops before.
    report : callable
        Called at the end of each epoch.
    at_end : callable, optional
        ``at_end(epoch, logs)`` is called on every rank at the end of each epoch, before the
        weights are compared; returns further logs, and whether to stop here.

    Returns
    -------
    list of EpochReport

    Raises
    ------
    TrainingError
        ``loss_not_finite``, with the step; ``weights_differ``.
    ConnectionError
        Another rank of this host has gone.
    """
    step = step_function(coupling)
    watch = LossWatch()
    reports: list[EpochReport] = []
    for epoch in range(epochs):
        begun, waited, steps, rows = time.perf_counter(), 0.0, 0, 0
        with stream(epoch) as batches:
            iterator = iter(batches)
            while True:
                asked = time.perf_counter()
                batch = next(iterator, None)
                waited += time.perf_counter() - asked
                if batch is None:
                    break
                watch.add(step(tensors(batch, arrays)), epoch, steps + 1)
                steps += 1
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
    return reports


def step_function(coupling: Coupling) -> Callable[[Any], Any]:
    """Return a coupling's step, compiled unless the model runs eagerly.

    It raises a plain `ConnectionError` where another rank of this host has gone.
    """
    step = coupling.train_step
    if not coupling.model.run_eagerly:
        step = tf.function(step, autograph=False, jit_compile=False)

    def guarded(data: Any) -> Any:
        try:
            return step(data)
        except tf.errors.OpError as error:
            # TensorFlow wraps what the reduction raised into pages about the graph.
            if LOST_RANK in str(error):
                raise ConnectionError(f"{LOST_RANK}.") from error
            raise

    return guarded


def tensors(batch: Batch, arrays: Callable[[Batch], tuple[Any, Any]]) -> tuple[Any, Any, Any, Any]:
    """Return a batch as what `Coupling.train_step` takes."""
    x, y = arrays(batch)
    return (
        keras.tree.map_structure(as_tensor, x),
        keras.tree.map_structure(as_tensor, y),
        as_tensor(batch.weight),
        tf.constant(batch.rows),
    )
