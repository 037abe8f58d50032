"""Makes the metric of each of several losses a mean over row weights, like the total loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["weighted_parts"]


@contextmanager
def weighted_parts(model: Any, share: Any) -> Iterator[None]:
    """Weight batches by their row weights in the metrics of single losses.

    With several losses, Keras keeps a mean of each in which every batch counts by its number of
    rows, including padding rows at the end of an epoch.

    Parameters
    ----------
    model : keras.Model
        Compiled; its losses are computed once inside the context.
    share : tensor of shape ()
        Mean weight of the batch's rows, including padding rows.
    """
    means = model._compile_loss.metrics
    before = [(tf.identity(m.total.value), tf.identity(m.count.value)) for m in means]
    yield
    for mean, (total, count) in zip(means, before, strict=True):
        mean.total.assign(total + (mean.total - total) * share)
        mean.count.assign(count + (mean.count - count) * share)
