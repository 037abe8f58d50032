"""Couples the Keras models of several ranks so that they train as one.

Horovod's own Keras wrapper reduces nothing under Keras 3. Here ``model.train_step`` is replaced on
the instance: each rank computes the gradient of its rows, one grouped allreduce brings them
together, and every rank applies the same update. With row weights w the gradient is

    sum over all ranks of (w · gradient of the row's loss) / sum over all ranks of w

plus the gradient of the regularisers, exactly as one process would have it on the global batch,
also where ranks have different sums of weights (the padded tail of an epoch). To that end a rank
computes the weighted mean over its own rows, scaled by its share of weight, and the shares travel
in the same allreduce: no second one is needed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparkml_dist.deep.backend import hvd, keras, tf
from sparkml_dist.errors import TrainingError

__all__ = ["Coupling", "average"]

Reduce = Callable[[Sequence[Any]], list[Any]]


def average(tensors: Sequence[Any]) -> list[Any]:
    """Return the mean of each tensor over the ranks, by one grouped allreduce.

    Sparse gradients are made dense first: Horovod would gather all of their rows on every rank.
    """
    dense = [tf.convert_to_tensor(t) for t in tensors]
    if hvd.size() == 1:
        return dense
    reduced: list[Any] = hvd.grouped_allreduce(dense, op=hvd.Average, name="gradients")
    return reduced


class Coupling:
    """The ties between one rank's model and the others'.

    Parameters
    ----------
    model : keras.Model
        Built and compiled; its losses reduce by ``sum_over_batch_size``.
    reduce : callable, default=average
        Brings tensors together; the place for compression, accumulation and fusion.

    Notes
    -----
    Losses that a layer adds from its activations are averaged over the rows of a batch as they are,
    padded rows among them; those that depend on weights alone are exact.
    """

    def __init__(self, model: Any, reduce: Reduce = average) -> None:
        self.model = model
        self._reduce = reduce
        self._loss = next(m for m in model.metrics if m.name == "loss")
        model.train_step = self.train_step

    def train_step(self, data: tuple[Any, Any, Any, Any]) -> Any:
        """Train on one batch of this rank.

        Parameters
        ----------
        data : tuple of (x, y, weight, rows)
            Arrays of `batch_size` rows, of which the first `rows` count; the others have weight 0.

        Returns
        -------
        tensor of shape ()
            The loss of the global batch, the same on every rank.
        """
        x, y, weight, rows = data
        model, optimizer = self.model, self.model.optimizer
        share = tf.reduce_mean(weight)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            own = model.compute_loss(x, y, y_pred, tf.math.divide_no_nan(weight, share))
            objective = optimizer.scale_loss(own * share)
        variables = model.trainable_variables
        gradients = tape.gradient(objective, [v.value for v in variables])
        used = [i for i, g in enumerate(gradients) if g is not None]
        *means, loss, total = self._reduce([*(gradients[i] for i in used), own * share, share])
        scale = tf.math.divide_no_nan(tf.ones_like(total), total)
        optimizer.apply([g * scale for g in means], [variables[i] for i in used])
        self._loss.update_state(
            own, sample_weight=share * tf.cast(tf.shape(weight)[0], share.dtype)
        )
        model.compute_metrics(*(_first(part, rows) for part in (x, y, y_pred)), weight[:rows])
        return loss * scale

    def broadcast(self) -> None:
        """Give every rank the weights and the optimizer's state of rank 0."""
        variables = [*self.model.weights, *self.model.optimizer.variables]
        if hvd.size() > 1:
            hvd.broadcast_variables([v.value for v in variables], root_rank=0)

    def epoch_logs(self) -> dict[str, Any]:
        """Return the metrics of the epoch over all ranks' rows, and begin a new count.

        The variables of Keras' metrics are sums and counts, so that adding them up over the ranks
        is the same as one metric having seen all rows.
        """
        self._over_ranks(self.model.metrics_variables, "metrics", hvd.Sum)
        logs = {name: _plain(value) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return logs

    def average_state(self) -> None:
        """Average the state that is not trained, such as the means of batch normalisation."""
        state = [
            v for v in self.model.non_trainable_weights if keras.backend.is_float_dtype(v.dtype)
        ]
        self._over_ranks(state, "state", hvd.Average)

    def check_equal(self, epoch: int) -> str:
        """Return the SHA-256 of the weights; raise unless all ranks have the same.

        Raises
        ------
        TrainingError
            ``weights_differ``, naming the ranks that differ from the most.
        """
        digest = hashlib.sha256()
        for variable in self.model.weights:
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
                "Does the builder, a layer or a callback change weights outside the optimizer, or "
                "build another network on another host?",
            )
        return digest.hexdigest()

    def _over_ranks(self, variables: Sequence[Any], name: str, operation: Any) -> None:
        if hvd.size() == 1 or not variables:
            return
        # In double precision: equal values stay as they are, and counts exact.
        wide = [tf.cast(v.value, tf.float64) for v in variables]
        for variable, value in zip(
            variables, hvd.grouped_allreduce(wide, op=operation, name=name), strict=True
        ):
            variable.assign(tf.cast(value, variable.dtype))


def _first(part: Any, rows: Any) -> Any:
    """Return the first rows of an array, or of each of several."""
    return keras.tree.map_structure(lambda array: array[:rows], part)


def _plain(value: Any) -> Any:
    array = keras.ops.convert_to_numpy(value)
    return float(array) if array.ndim == 0 else array.tolist()
