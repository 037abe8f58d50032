"""One update of a model with the rows of all ranks: forward, backward, reduction, optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
from sparkml_dist.deep.embedding.marks import sharded_over_ranks
from sparkml_dist.deep.train.learning_rate import RateFactor, innermost
from sparkml_dist.deep.train.loss_parts import weighted_parts
from sparkml_dist.deep.train.reduction import Reduction
from sparkml_dist.errors import ConfigurationError

__all__ = ["Step"]

Data = tuple[Any, Any, Any, Any]


class Step:
    """Trains on a batch of this rank together with the other ranks' batches.

    With row weights w the gradient of the update is

        sum over all ranks of (w · gradient of the row's loss) / sum over all ranks of w

    plus the gradient of the regularizers, exactly as in one process with the global batch, also
    when the sums of weights differ between ranks (because of padding at the end of an epoch). For
    this, a rank computes the weighted mean over its own rows, scaled by its mean weight; the mean
    weights are part of the same reduction, so that no second one is needed.

    Parameters
    ----------
    model : keras.Model
        Built and compiled; its losses reduce by ``sum_over_batch_size``.
    reduce : Reduction
        Reduces gradients.
    accumulation_steps : int, default=1
        Number of equal parts of a batch that are processed one after the other.
    clip_norm : float, optional
        Largest norm of all reduced gradients together.
    rate : RateFactor, optional
        Factor for the learning rate.

    Raises
    ------
    ConfigurationError
        ``conflicting_params``, ``clipping_of_shards``.

    Notes
    -----
    A model with a method ``after_update`` has it called after each update, on every rank: there it
    changes weights that are not trained, such as those of a target network, in the same way on all.

    Losses that a layer adds from its activations are averaged over the rows of a batch without
    weights, including padding rows; those that depend only on weights are exact.
    """

    def __init__(
        self,
        model: Any,
        reduce: Reduction,
        *,
        accumulation_steps: int = 1,
        clip_norm: float | None = None,
        rate: RateFactor | None = None,
    ) -> None:
        _check_clipping(model, clip_norm)
        self._model = model
        self._reduce = reduce
        self._parts = accumulation_steps
        self._clip_norm = clip_norm
        self._rate = rate
        self._loss = next(m for m in model.metrics if m.name == "loss")

    def __call__(self, data: Data) -> Any:
        """Train on one batch of this rank.

        Parameters
        ----------
        data : tuple of (x, y, weight, rows)
            Arrays of the same length on every rank; the first `rows` rows are actual rows, and the
            others have weight 0.

        Returns
        -------
        tensor of shape ()
            The loss of the global batch, the same on every rank.
        """
        optimizer = self._model.optimizer
        used, sums, loss, share = self._accumulated(data)
        whole = [i for i, v in enumerate(used) if not sharded_over_ranks(v)]
        # Collective operations of the backward pass come first, on every rank.
        with tf.control_dependencies(sums) if len(whole) < len(used) else nullcontext():
            (*means, loss), weight = self._reduce([*(sums[i] for i in whole), loss], share)
        gradients = list(sums)
        for i, mean in zip(whole, means, strict=True):
            gradients[i] = mean
        if len(whole) < len(used):
            scale = tf.math.divide_no_nan(tf.ones_like(weight), weight)
            for i in set(range(len(used))) - set(whole):
                gradients[i] = sums[i] * scale
        if self._clip_norm is not None:
            gradients = self._clipped(gradients, used, self._clip_norm)
        with self._rate.applied(optimizer) if self._rate else nullcontext():
            optimizer.apply(gradients, used)
        if (after := getattr(self._model, "after_update", None)) is not None:
            after()
        return loss

    def _accumulated(self, data: Data) -> tuple[list[Any], list[Any], Any, Any]:
        """Return variables with gradients, the gradients, the loss and the weight of all parts.

        Gradients and loss are sums over the parts, weighted by each part's mean weight.
        """
        if self._parts == 1:
            return self._gradients(data)
        x, y, weight, rows = data
        size = -(-weight.shape[0] // self._parts)
        spare = size * self._parts - weight.shape[0]

        def cut(array: Any) -> Any:
            if spare:  # padding rows of weight 0, which repeat others as in a batch
                array = tf.concat([array, tf.repeat(array[-1:], spare, axis=0)], 0)
            return tf.reshape(array, [self._parts, size, *array.shape[1:]])

        weight = tf.concat([weight, tf.zeros(spare, weight.dtype)], 0)
        stacked = (*keras.tree.map_structure(cut, (x, y)), tf.reshape(weight, [-1, size]))

        def part(number: Any) -> Data:
            own = keras.tree.map_structure(lambda array: array[number], stacked)
            return (*own, tf.clip_by_value(rows - number * size, 0, size))

        # The first part is outside the loop, because it creates variables of metrics.
        used, *first = self._gradients(part(0))

        def more(number: Any, sums: list[Any], loss: Any, share: Any) -> tuple[Any, ...]:
            _, *others = self._gradients(part(number))
            added = keras.tree.map_structure(tf.add, [sums, loss, share], others)
            return (number + 1, *added)

        # Every rank runs every part, even of padding: layers may have collective operations.
        _, sums, loss, share = tf.while_loop(
            lambda number, *_: number < self._parts,
            more,
            [tf.constant(1), *first],
            parallel_iterations=1,
        )
        return used, sums, loss, share

    def _gradients(self, data: Data) -> tuple[list[Any], list[Any], Any, Any]:
        x, y, weight, rows = data
        model, optimizer = self._model, self._model.optimizer
        share = tf.reduce_mean(weight)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            scaled = tf.math.divide_no_nan(weight, share)
            with weighted_parts(model, share):
                own = tf.cast(model.compute_loss(x, y, y_pred, scaled), share.dtype)
            objective = optimizer.scale_loss(own * share)
        variables = model.trainable_variables
        gradients = tape.gradient(objective, [v.value for v in variables])
        used = [(v, g) for v, g in zip(variables, gradients, strict=True) if g is not None]
        self._loss.update_state(
            own, sample_weight=share * tf.cast(tf.shape(weight)[0], share.dtype)
        )
        update_metrics(model, (x, y, y_pred), weight, rows)
        dense = [tf.convert_to_tensor(g) for _, g in used]
        return [v for v, _ in used], dense, own * share, share

    def _clipped(
        self, gradients: Sequence[Any], variables: Sequence[Any], norm: float
    ) -> list[Any]:
        """Return gradients, clipped by their norm over all variables, on other ranks too."""
        squares = [tf.reduce_sum(tf.square(tf.cast(g, tf.float32))) for g in gradients]
        sharded = [s for s, v in zip(squares, variables, strict=True) if sharded_over_ranks(v)]
        square = tf.add_n(
            [s for s, v in zip(squares, variables, strict=True) if not sharded_over_ranks(v)]
            or [tf.constant(0.0)]
        )
        if sharded:
            own = tf.add_n(sharded)
            square += hvd.allreduce(own, op=hvd.Sum, name="norm") if hvd.size() > 1 else own
        # Mixed precision scales the loss, and so the gradients.
        optimizer = self._model.optimizer
        scaled = optimizer is not innermost(optimizer)
        limit = norm * (tf.convert_to_tensor(optimizer.dynamic_scale) if scaled else 1.0)
        factor = limit / tf.maximum(tf.sqrt(square), limit)
        return [g * tf.cast(factor, g.dtype) for g in gradients]


def update_metrics(model: Any, arrays: Sequence[Any], weight: Any, rows: Any) -> None:
    """Update a model's metrics with the first rows of (x, y, y_pred)."""
    first = keras.tree.map_structure(lambda array: array[:rows], tuple(arrays))
    model.compute_metrics(*first, weight[:rows])


def _check_clipping(model: Any, clip_norm: float | None) -> None:
    optimizer = innermost(model.optimizer)
    own = next(
        (n for n in ("clipnorm", "global_clipnorm", "clipvalue") if getattr(optimizer, n, None)),
        None,
    )
    if own and clip_norm is not None:
        raise ConfigurationError(
            "conflicting_params",
            f"clipNorm is {clip_norm:g}, but the optimizer clips gradients too: "
            f"{own}={getattr(optimizer, own):g}.",
            "Set one of the two.",
        )
    if own in ("clipnorm", "global_clipnorm") and any(
        map(sharded_over_ranks, model.trainable_variables)
    ):
        raise ConfigurationError(
            "clipping_of_shards",
            f"The optimizer's {own} ignores the gradients of a table's rows on other ranks.",
            "Use clipNorm of the estimator, which is the norm over all ranks.",
        )
