"""Scales an optimizer's learning rate with the size of the batch, and warms it up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparkml_dist.deep.backend.with_horovod import tf

__all__ = ["RateFactor", "innermost"]


class RateFactor:
    """A factor for the learning rate that depends on nothing but the updates made so far.

    The optimizer's own rate, a number or a schedule, is left as it is: callbacks read and set the
    unscaled rate, and the saved model holds the builder's. A resumed training goes on with the
    right factor, since the number of updates is part of the optimizer's state.

    Parameters
    ----------
    scaling : {"none", "linear", "sqrt"}
        How the factor grows with `multiple`.
    multiple : int
        Batches that make up an update.
    warmup_steps : int, default=0
        Updates over which the factor rises: from 1, or from 0 where it ends at 1.
    """

    def __init__(self, scaling: str, multiple: int, warmup_steps: int = 0) -> None:
        self.end = {"none": 1.0, "linear": float(multiple), "sqrt": math.sqrt(multiple)}[scaling]
        self.start = 1.0 if self.end > 1 else 0.0
        self.warmup_steps = warmup_steps

    def __call__(self, iterations: Any) -> Any:
        """Return the factor, a float32 tensor, after so many updates."""
        if not self.warmup_steps:
            return tf.constant(self.end, tf.float32)
        done = tf.cast(iterations, tf.float32) + 1.0
        progress = tf.minimum(done / self.warmup_steps, 1.0)
        return self.start + (self.end - self.start) * progress

    def rate(self, optimizer: Any) -> float:
        """Return the learning rate that the next update takes."""
        inner = innermost(optimizer)
        return float(inner.learning_rate) * float(self(inner.iterations))

    @contextmanager
    def applied(self, optimizer: Any) -> Iterator[None]:
        """Let an optimizer take the scaled rate inside the context."""
        if self.end == 1.0 and not self.warmup_steps:
            yield
            return
        inner = innermost(optimizer)
        own = inner._get_current_learning_rate

        def scaled() -> Any:
            rate = tf.convert_to_tensor(own())
            return rate * tf.cast(self(inner.iterations), rate.dtype)

        # All of Keras asks this one method, weight decay included.
        vars(inner)["_get_current_learning_rate"] = scaled
        try:
            yield
        finally:
            del vars(inner)["_get_current_learning_rate"]


def innermost(optimizer: Any) -> Any:
    """Return the optimizer proper, which mixed precision wraps."""
    while (inner := getattr(optimizer, "inner_optimizer", None)) is not None:
        optimizer = inner
    return optimizer
