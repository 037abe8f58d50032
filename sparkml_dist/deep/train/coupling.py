"""Couples the Keras models of several ranks so that they train as one.

Horovod's own Keras wrapper reduces nothing under Keras 3. Here ``model.train_step`` of the instance
is replaced by a `Step`: each rank computes the gradient of its rows, a reduction combines the
gradients, and every rank applies the same update.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
from sparkml_dist.deep.embedding.marks import mark_slots, sharded_over_ranks
from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.deep.train.horovod_threads import rest_horovod, wake_horovod
from sparkml_dist.deep.train.learning_rate import RateFactor
from sparkml_dist.deep.train.reduction import Reduction, make_reduction
from sparkml_dist.deep.train.step import Step, update_metrics
from sparkml_dist.errors import ConfigurationError, TrainingError

__all__ = ["Coupling"]

# What these do to a row depends on the other rows of the table.
_NOT_BY_ROWS = ("Adafactor", "Lamb", "Muon")


class Coupling:
    """Couples one rank's model with those of the other ranks.

    Parameters
    ----------
    model : keras.Model
        Built and compiled; its losses reduce by ``sum_over_batch_size``.
    settings : CouplingSettings, optional
        Settings of a step.
    steps : int, default=1
        Updates in an epoch, the unit of the warm-up.
    reduce : Reduction, optional
        Reduces gradients; by default chosen by the places of the ranks.

    Attributes
    ----------
    rate : RateFactor
        Factor for the learning rate.
    transport : {"none", "memory", "horovod", "given"}
        Transport of the reduction.
    """

    def __init__(
        self,
        model: Any,
        settings: CouplingSettings | None = None,
        *,
        steps: int = 1,
        reduce: Reduction | None = None,
    ) -> None:
        settings = settings or CouplingSettings()
        self.model = model
        _check_optimizer(model.optimizer, model.trainable_variables)
        mark_slots(model.optimizer, model.trainable_variables)
        self.transport = "given"
        self.rate = RateFactor(
            settings.learning_rate_scaling,
            settings.rate_batches or hvd.size() * settings.accumulation_steps,
            round(settings.warmup_epochs * steps),
        )
        if reduce is None:
            self.transport, reduce = make_reduction(settings, model.trainable_variables)
        if self.transport == "memory" and not any(map(sharded_over_ranks, model.weights)):
            rest_horovod()
        elif self.transport in ("memory", "horovod"):
            wake_horovod()
        self._step = Step(
            model,
            reduce,
            accumulation_steps=settings.accumulation_steps,
            clip_norm=settings.clip_norm,
            rate=self.rate,
        )
        model.train_step = self.train_step

    def train_step(self, data: tuple[Any, Any, Any, Any]) -> Any:
        """Train on one batch of this rank; see `Step`."""
        return self._step(data)

    def learning_rate(self) -> float:
        """Return the rate of the next update, scaled and warmed up."""
        return self.rate.rate(self.model.optimizer)

    def broadcast(self) -> None:
        """Set every rank's weights and optimizer state to those of rank 0."""
        variables = [
            v
            for v in (*self.model.weights, *self.model.optimizer.variables)
            if not sharded_over_ranks(v)
        ]
        if hvd.size() > 1:
            hvd.broadcast_variables([v.value for v in variables], root_rank=0)

    def build_metrics(self, data: tuple[Any, Any, Any, Any]) -> None:
        """Create the variables of metrics that have none before a first batch."""
        x, y, weight, rows = data
        y_pred = self.model(x, training=False)
        update_metrics(self.model, (x, y, y_pred), weight, rows)

    def epoch_logs(self) -> dict[str, Any]:
        """Return the metrics of the epoch over all ranks' rows, and reset them.

        The variables of Keras' metrics are sums and counts: their sums over the ranks are those of
        a metric that has seen all rows.
        """
        self._over_ranks(self.model.metrics_variables, "metrics", hvd.Sum)
        logs = {name: _plain(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return logs

    def average_state(self) -> None:
        """Average state that is not trained, such as the means of batch normalization."""
        state = [
            v for v in self.model.non_trainable_weights if keras.backend.is_float_dtype(v.dtype)
        ]
        self._over_ranks(state, "state", hvd.Average)

    def check_equal(self, epoch: int) -> str:
        """Return the SHA-256 checksum of the weights; raise unless it is equal on all ranks.

        Raises
        ------
        TrainingError
            ``weights_differ``, with the ranks that differ from the majority.
        """
        digest = hashlib.sha256()
        for variable in self.model.weights:
            if sharded_over_ranks(variable):
                continue
            digest.update(np.ascontiguousarray(variable.numpy()).data)
        own = np.frombuffer(digest.digest(), np.uint8)
        if hvd.size() == 1:
            return digest.hexdigest()
        gathered = hvd.allgather(tf.constant(own[None]), name="weights_digest").numpy()
        texts = [row.tobytes().hex() for row in gathered]
        if len(set(texts)) > 1:
            usual = Counter(texts).most_common(1)[0][0]
            others = [rank for rank, text in enumerate(texts) if text != usual]
            raise TrainingError(
                "weights_differ",
                f"After epoch {epoch + 1} the weights of "
                f"{'rank' if len(others) == 1 else 'ranks'} {', '.join(map(str, others))} differ "
                f"from those of the other ranks.",
                "Check whether the builder, a layer or a callback changes weights outside the "
                "optimizer, or builds different networks on different hosts.",
            )
        return digest.hexdigest()

    def _over_ranks(self, variables: Sequence[Any], name: str, operation: Any) -> None:
        if hvd.size() == 1 or not variables:
            return
        # In double precision, so that averages of equal values and counts are exact.
        wide = [tf.cast(v.value, tf.float64) for v in variables]
        for variable, value in zip(
            variables, hvd.grouped_allreduce(wide, op=operation, name=name), strict=True
        ):
            variable.assign(tf.cast(value, variable.dtype))


def _plain(value: Any) -> Any:
    array = keras.ops.convert_to_numpy(value)
    return float(array) if array.ndim == 0 else array.tolist()


def _check_optimizer(optimizer: Any, variables: Sequence[Any]) -> None:
    """Raise unless an optimizer can update some rows of a table without the others.

    Raises
    ------
    ConfigurationError
        ``sharded_optimizer``.
    """
    if not any(map(sharded_over_ranks, variables)):
        return
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    kinds = {kind.__name__ for kind in type(optimizer).__mro__}
    found = [name for name in _NOT_BY_ROWS if name in kinds]
    if found:
        raise ConfigurationError(
            "sharded_optimizer",
            f"A table that is shared out among ranks cannot be trained with the optimizer "
            f"{found[0]}, which looks at all of its rows together.",
            "Use SGD, Adam, AdamW, Adagrad, RMSprop or the like.",
        )
