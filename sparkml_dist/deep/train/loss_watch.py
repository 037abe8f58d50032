"""Notices the step in which the loss leaves the finite numbers; imports no TensorFlow."""

from __future__ import annotations

import math
from typing import Any

from sparkml_dist.errors import TrainingError

__all__ = ["LossWatch"]


class LossWatch:
    """Looks at each loss when the step after it has been sent off.

    To read a loss is to wait for its step: a device that computes beside the program would stand
    still meanwhile. Ranks have the same losses, and so stop at the same step.
    """

    def __init__(self) -> None:
        self._last: tuple[Any, int, int] | None = None

    def add(self, loss: Any, epoch: int, step: int) -> None:
        """Take over the loss of a step, and check the one before.

        Parameters
        ----------
        loss : tensor of shape ()
        epoch, step : int
            Of the loss; the epoch counted from 0, the step from 1.

        Raises
        ------
        TrainingError
            ``diverged``, with the step.
        """
        self.finish()
        self._last = (loss, epoch, step)

    def finish(self) -> None:
        """Check the last loss; before anything that relies on the weights, such as a checkpoint.

        Raises
        ------
        TrainingError
            ``diverged``, with the step.
        """
        if self._last is None:
            return
        (loss, epoch, step), self._last = self._last, None
        if not math.isfinite(float(loss)):
            raise TrainingError(
                "diverged",
                f"The loss became {float(loss)} in step {step} of epoch {epoch + 1}.",
                "Lower the learning rate, clip gradients, and look for missing or very large "
                "features.",
            )
