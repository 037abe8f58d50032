"""Scales an optimizer's learning rate with the batch size, and warms it up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["RateFactor", "innermost"]


class RateFactor:
    """A factor for the learning rate that depends only on the number of updates.

    The optimizer's own rate, a number or a schedule, is unchanged: callbacks read and set the
    unscaled rate, and the saved model has the builder's rate. A resumed training continues with the
    right factor, since the number of updates is part of the optimizer's state.

    Parameters
    ----------
    scaling : {"none", "linear", "sqrt"}
        Scaling of the factor with `multiple`.
    multiple : int
        Number of batches in an update.
    warmup_steps : int, default=0
        Updates over which the factor rises: from 1, or from 0 if it ends at 1.
    """

    def __init__(self, scaling: str, multiple: int, warmup_steps: int = 0) -> None:
        self.end = {"none": 1.0, "linear": float(multiple), "sqrt": math.sqrt(multiple)}[scaling]
        self.start = 1.0 if self.end > 1 else 0.0
        self.warmup_steps = warmup_steps

    def __call__(self, iterations: Any) -> Any:
        """Return the factor after a number of updates, a float32 tensor."""
        if not self.warmup_steps:
            return tf.constant(self.end, tf.float32)
        done = tf.cast(iterations, tf.float32) + 1.0
        progress = tf.minimum(done / self.warmup_steps, 1.0)
        return self.start + (self.end - self.start) * progress

    def rate(self, optimizer: Any) -> float:
        """Return the learning rate of the next update."""
        inner = innermost(optimizer)
        return float(inner.learning_rate) * float(self(inner.iterations))

    @contextmanager
    def applied(self, optimizer: Any) -> Iterator[None]:
        """Make an optimizer use the scaled rate inside the context."""
        if self.end == 1.0 and not self.warmup_steps:
            yield
            return
        inner = innermost(optimizer)
        own = inner._get_current_learning_rate

        def scaled() -> Any:
            rate = tf.convert_to_tensor(own())
            return rate * tf.cast(self(inner.iterations), rate.dtype)

        # Keras reads the rate through this method everywhere, also for weight decay.
        vars(inner)["_get_current_learning_rate"] = scaled
        try:
            yield
        finally:
            del vars(inner)["_get_current_learning_rate"]


def innermost(optimizer: Any) -> Any:
    """Return the actual optimizer, which mixed precision wraps."""
    while (inner := getattr(optimizer, "inner_optimizer", None)) is not None:
        optimizer = inner
    return optimizer
