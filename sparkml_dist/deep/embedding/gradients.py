"""Gradients of tables that are shared out among ranks."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.embedding.marks import sharded_over_ranks
from sparkml_dist.deep.embedding.tensors import tf
from sparkml_dist.errors import ConfigurationError

__all__ = ["check_optimizer", "combined", "squared_norm"]

# What these do to a row depends on the other rows of the table.
_NOT_BY_ROWS = ("Adafactor", "Lamb", "Muon")


def combined(gradient: Any, scale: Any) -> Any:
    """Return the gradient of a table's rows, each row once, multiplied by `scale`.

    Parameters
    ----------
    gradient : tensor or IndexedSlices
        As it leaves the tape; the same row may occur several times.
    scale : tensor of shape ()

    Returns
    -------
    tensor or IndexedSlices
        Sparse where `gradient` is: an optimizer without momentum then touches these rows only.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient * tf.cast(scale, gradient.dtype)
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values * tf.cast(scale, values.dtype), rows, gradient.dense_shape)


def check_optimizer(optimizer: Any, variables: list[Any]) -> None:
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
    found = [f"the optimizer {name}" for name in _NOT_BY_ROWS if name in kinds]
    norms = {name: getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm")}
    found += [f"{name}={value}" for name, value in norms.items() if value is not None]
    if found:
        raise ConfigurationError(
            "sharded_optimizer",
            f"A table that is shared out among ranks cannot be trained with {found[0]}, which "
            "looks at all of its rows together.",
            "Clip with the estimator's clipNorm, which spans the ranks; use SGD, Adam, AdamW, "
            "Adagrad, RMSprop or the like.",
        )


def squared_norm(gradient: Any) -> Any:
    """Return the sum of the squares of a gradient, each row of which occurs once."""
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    return tf.reduce_sum(tf.square(tf.cast(values, tf.float32)))
