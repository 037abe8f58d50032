"""Lets the loss of each of several outputs be a mean over row weights, as the whole loss is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["weighed_parts"]


@contextmanager
def weighed_parts(model: Any, share: Any) -> Iterator[None]:
    """Let a batch count by its weight in the metrics of single losses.

    Where there are several losses Keras keeps a mean of each, in which every batch counts by its
    number of rows, the padded ones of an epoch's tail among them.

    Parameters
    ----------
    model : keras.Model
        Compiled; its losses are computed once inside the context.
    share : tensor of shape ()
        Mean weight of the batch's rows, padded ones among them.
    """
    means = model._compile_loss.metrics
    before = [(tf.identity(m.total.value), tf.identity(m.count.value)) for m in means]
    yield
    for mean, (total, count) in zip(means, before, strict=True):
        mean.total.assign(total + (mean.total - total) * share)
        mean.count.assign(count + (mean.count - count) * share)
