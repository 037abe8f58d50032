"""Detects the first step whose loss is not finite; imports no TensorFlow."""

from __future__ import annotations

import math
from typing import Any

from sparkml_dist.errors import TrainingError

__all__ = ["LossWatch"]


class LossWatch:
    """Checks each loss after the next step has been started.

    Reading a loss waits for its step, and an accelerator would be idle meanwhile. All ranks have
    the same losses, and so stop at the same step.
    """

    def __init__(self) -> None:
        self._last: tuple[Any, int, int] | None = None

    def add(self, loss: Any, epoch: int, step: int) -> None:
        """Store the loss of a step, and check the previous one.

        Parameters
        ----------
        loss : tensor of shape ()
        epoch, step : int
            Epoch, counted from 0, and step, counted from 1, of the loss.

        Raises
        ------
        TrainingError
            ``loss_not_finite``, with the step.
        """
        self.finish()
        self._last = (loss, epoch, step)

    def finish(self) -> None:
        """Check the last loss; call it before using the weights, for example in a checkpoint.

        Raises
        ------
        TrainingError
            ``loss_not_finite``, with the step.
        """
        if self._last is None:
            return
        (loss, epoch, step), self._last = self._last, None
        if not math.isfinite(float(loss)):
            raise TrainingError(
                "loss_not_finite",
                f"The loss became {float(loss)} in step {step} of epoch {epoch + 1}.",
                "Lower the learning rate, clip gradients, and look for missing or very large "
                "features.",
            )
