"""Evaluates the held-out rows on all ranks: every row once, metrics from sums and counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparkml_dist.deep.backend.with_horovod import keras, tf
from sparkml_dist.deep.input.pipeline import Batch, BatchStream
from sparkml_dist.deep.train.coupling import Coupling
from sparkml_dist.deep.train.loop import tensors
from sparkml_dist.deep.train.loss_parts import weighted_parts

__all__ = ["Validator"]


class Validator:
    """Computes the loss and the metrics of the held-out rows at the end of an epoch.

    The loss is the mean over row weights plus the regularization penalties, as in training; the
    metrics are those that the model was compiled with, over the rows of all ranks. Class weights do
    not apply here.

    Parameters
    ----------
    coupling : Coupling
    stream : callable
        ``stream()`` returns this rank's batches of held-out rows.
    arrays : callable
        ``arrays(batch)`` returns the inputs of the network and of its loss.
    """

    def __init__(
        self,
        coupling: Coupling,
        stream: Callable[[], BatchStream],
        arrays: Callable[[Batch], tuple[Any, Any]],
    ) -> None:
        self._coupling = coupling
        self._stream = stream
        self._arrays = arrays
        self._loss = next(m for m in coupling.model.metrics if m.name == "loss")
        eager = coupling.model.run_eagerly
        step = self._step
        self._run = step if eager else tf.function(step, autograph=False, jit_compile=False)

    def __call__(self) -> dict[str, Any]:
        """Return the metrics of the held-out rows, the same on every rank."""
        with self._stream() as batches:
            for batch in batches:
                self._run(tensors(batch, self._arrays))
        return self._coupling.epoch_logs()

    def _step(self, data: tuple[Any, Any, Any, Any]) -> None:
        x, y, weight, rows = data
        model = self._coupling.model
        y_pred = model(x, training=False)
        share = tf.reduce_mean(weight)
        scaled = tf.math.divide_no_nan(weight, share)
        with weighted_parts(model, share):
            loss = model.compute_loss(x, y, y_pred, scaled, training=False)
        counted = share * tf.cast(tf.shape(weight)[0], share.dtype)
        self._loss.update_state(loss, sample_weight=counted)
        seen = keras.tree.map_structure(lambda array: array[:rows], (x, y, y_pred, weight))
        model.compute_metrics(*seen)
