"""The position of a lane in an epoch: its current rows, and the number of remaining ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.input.plan import EpochPlan
from sparkml_dist.deep.input.read_ahead import ReadAhead

__all__ = ["LaneRows"]

# Sparse rows are converted to dense ones in blocks of this size: for the few rows of one step, the
# overhead of the call would dominate.
_DENSE_BYTES = 1 << 20


class LaneRows:
    """The rows of one lane, in order, for one step at a time.

    Parameters
    ----------
    reader : ReadAhead
        Shared by the lanes of a rank, which must read in the order of `by_need`.
    plan : EpochPlan
    lane : int
    step : int
        The first step.
    """

    def __init__(self, reader: ReadAhead, plan: EpochPlan, lane: int, step: int) -> None:
        self._reader = reader
        self._quota = plan.quotas[lane]
        self._left = max(0, plan.lane_rows[lane] - step * self._quota)
        self._block: Block | None = None
        self._at = 0
        self._dense: npt.NDArray[np.float32] | None = None
        self._dense_start = 0

    def fill(
        self,
        x: npt.NDArray[np.float32],
        y: npt.NDArray[Any],
        weight: npt.NDArray[np.float32],
        at: int,
    ) -> int:
        """Write the rows of the next step to a batch, starting at row `at`; return their end.

        Parameters
        ----------
        x : ndarray of float32, shape (batch_size, n_features)
        y : ndarray, shape (batch_size,)
        weight : ndarray of float32, shape (batch_size,)
        at : int
        """
        end = at + min(self._quota, self._left)
        self._left -= end - at
        while at < end:
            if self._block is None:
                self._block, self._at, self._dense = self._reader.next(), 0, None
            block, start = self._block, self._at
            rows = min(end - at, len(block) - start)
            stop, until = start + rows, at + rows
            x[at:until] = self._features(start, stop)
            np.copyto(y[at:until], block.y[start:stop])
            weight[at:until] = 1.0 if block.weight is None else block.weight[start:stop]
            at, self._at = until, stop
            if stop == len(block):
                self._block = None
        return end

    def _features(self, start: int, stop: int) -> npt.NDArray[Any]:
        assert self._block is not None
        X = self._block.X
        if isinstance(X, np.ndarray):
            return X[start:stop]
        if self._dense is None or stop > self._dense_start + len(self._dense):
            rows = max(stop - start, _DENSE_BYTES // (4 * X.shape[1]))
            self._dense, self._dense_start = X[start : start + rows].toarray(), start
        return self._dense[start - self._dense_start : stop - self._dense_start]
