"""Actions after the last step of an epoch, the same on every rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from sparkml_dist.deep.embedding.marks import sharded_over_ranks
from sparkml_dist.deep.train.callbacks import Callbacks
from sparkml_dist.deep.train.early_stopping import EarlyStopping
from sparkml_dist.deep.train.event_files import EventFiles

__all__ = ["EpochEnd"]


class EpochEnd:
    """Validation, callbacks, early stopping and event files, in this order.

    Parameters
    ----------
    model : keras.Model
    epochs : int
        Number of epochs.
    validate : callable, optional
        Returns the metrics of the held-out rows, the same on every rank.
    stopping : EarlyStopping, optional
    callbacks : Callbacks, optional
    events : EventFiles, optional
        On rank 0.
    rate : callable, optional
        Returns the current learning rate; by default the optimizer's.
    """

    def __init__(
        self,
        model: Any,
        epochs: int,
        *,
        validate: Callable[[], Mapping[str, Any]] | None = None,
        stopping: EarlyStopping | None = None,
        callbacks: Callbacks | None = None,
        events: EventFiles | None = None,
        rate: Callable[[], float] | None = None,
    ) -> None:
        self._model = model
        self._epochs = epochs
        self._validate = validate
        self._stopping = stopping
        self._callbacks = callbacks
        self._events = events
        self._rate = rate or (lambda: float(model.optimizer.learning_rate))
        self._logs: dict[str, Any] = {}

    def begin(self) -> None:
        """Call callbacks at the start of the training; before the weights are broadcast."""
        if self._callbacks is not None:
            self._callbacks.begin()

    def start(self, epoch: int) -> None:
        """Call callbacks at the start of this run's first epoch, counted from 0."""
        if self._callbacks is not None and epoch < self._epochs:
            self._callbacks.epoch_begins(epoch)

    def __call__(self, epoch: int, logs: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """End an epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, counted from 0.
        logs : dict
            Its metrics, the same on every rank.

        Returns
        -------
        more : dict
            Metrics of the held-out rows.
        stop : bool
            Whether the training ends here.
        """
        more = {}
        if self._validate is not None:
            more = {f"val_{name}": value for name, value in self._validate().items()}
        self._logs = {**logs, **more}
        stop = False
        if self._callbacks is not None:
            stop = self._callbacks.epoch_ends(epoch, self._logs)
        if self._stopping is not None:
            stop = self._stopping.update(epoch, self._logs) or stop
        if self._events is not None:
            self._events.write(epoch, self._logs, self._rate())
        if self._callbacks is not None and not stop and epoch + 1 < self._epochs:
            self._callbacks.epoch_begins(epoch + 1)
        return more, stop

    def finish(self) -> dict[str, Any]:
        """Set the network's final weights; return facts about the best epoch."""
        best: dict[str, Any] = {}
        if self._stopping is not None:
            best = {"best_epoch": self._stopping.best_epoch, "best": self._stopping.best}
            if self._stopping.best_weights:
                for variable, value in zip(
                    self._model.weights, self._stopping.best_weights, strict=True
                ):
                    variable.assign(value)
        if self._callbacks is not None:
            self._callbacks.end(self._logs)
        if self._events is not None:
            self._events.close()
        return best

    # -- for checkpoints ------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return the state for a resumed training, besides the model."""
        if self._stopping is None or any(map(sharded_over_ranks, self._model.weights)):
            # The best weights of other ranks' shards are not available: restart the comparison.
            return {}, {}
        return self._stopping.state()

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the values of `state`."""
        if self._stopping is not None and values:
            self._stopping.load_state(values, arrays)
