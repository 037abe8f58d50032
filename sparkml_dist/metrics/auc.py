"""Area under the ROC curve from histograms of probabilities, which add up over partitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ProbabilityBins", "area_under_roc"]

_MANTISSA = 11
_NEAR_ONE = 53  # probabilities within 2**-53 of 1 share a bin: doubles are no finer
_MAX_TOTAL = 1 << 22
_FLOAT32_MANTISSA = 23


class ProbabilityBins:
    """Bins for probabilities that are narrow near 0 and near 1.

    A bin holds the probabilities whose distance to the nearer of 0 and 1 has the same exponent
    and leading mantissa bits, so that its width is at most ``2**-bits`` of that distance.

    Parameters
    ----------
    n_histograms : int
        Number of histograms kept at the same time. There are 11 bits for up to 11 of them, and
        fewer beyond, so that all histograms together have at most 4M bins.

    Attributes
    ----------
    bits : int
        Mantissa bits that distinguish bins.
    size : int
        Number of bins of a histogram.
    """

    def __init__(self, n_histograms: int = 1) -> None:
        self.bits = _MANTISSA
        while self.bits > 1 and n_histograms * self.size > _MAX_TOTAL:
            self.bits -= 1

    @property
    def size(self) -> int:
        """Number of bins of a histogram."""
        half = int(self._prefix(np.array([0.5]))[0])
        return half + 1 + ((_NEAR_ONE - 1) << self.bits) + 1

    def index(self, p: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the bin of each probability; bins ascend with it.

        Parameters
        ----------
        p : ndarray of float
            Values in [0, 1]; others are clipped.

        Returns
        -------
        ndarray of int64, same shape
            From 0 to ``size - 1``.
        """
        p = np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)
        least = 2.0**-_NEAR_ONE
        from_one = self._prefix(np.maximum(1.0 - p, least)) - self._prefix(np.array([least]))
        return np.where(p < 0.5, self._prefix(p), self.size - 1 - from_one)

    def least(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the threshold that the probabilities of each bin, and of those after it, reach.

        Parameters
        ----------
        index : ndarray of int, any shape

        Returns
        -------
        ndarray of float64, same shape
            From 0 to 1.
        """
        shift = _FLOAT32_MANTISSA - self.bits
        half = int(self._prefix(np.array([0.5]))[0])
        end = self._prefix(np.array([2.0**-_NEAR_ONE]))

        def distance(prefix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            bits = (prefix.astype(np.uint32) << np.uint32(shift)).view(np.float32)
            return bits.astype(np.float64)

        index = np.asarray(index, dtype=np.int64)
        below = distance(np.minimum(index, half))
        # The distances of a bin to 1 are less than that of the bin before it.
        farther = distance(self.size - 1 - index + end + 1)
        above = np.where(self.size - 1 - index + end >= half, 0.5, np.nextafter(1.0 - farther, 2.0))
        return np.where(index < half, below, np.clip(above, 0.5, 1.0))

    def _prefix(self, distance: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the leading bits of non-negative float32 numbers, which have the same order."""
        prefix = distance.astype(np.float32).view(np.uint32) >> (_FLOAT32_MANTISSA - self.bits)
        return prefix.astype(np.int64)


def area_under_roc(
    positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]
) -> float | None:
    """Return the area under the ROC curve; rows in one bin count as tied.

    Parameters
    ----------
    positive, negative : ndarray of shape (n_bins,)
        Weight of the positive and of the negative rows in each bin, in ascending order.

    Returns
    -------
    float or None
        None if all rows are positive, or all negative.
    """
    total = positive.sum() * negative.sum()
    if not total > 0:
        return None
    below = np.cumsum(negative) - negative
    return float(np.sum(positive * (below + negative / 2)) / total)
