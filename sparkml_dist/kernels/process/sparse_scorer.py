"""Predictions of a sparse Gaussian process."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.feature_model import scaling_of
from sparkml_dist.kernels.machine_scorer import checked_arrays
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.process.process_scorer import Distribution, ProcessScorer
from sparkml_dist.persistence.arrays import check_array

__all__ = ["SparseScorer"]

Matrix = npt.NDArray[np.float64]


class SparseScorer(ProcessScorer):
    """Similarities to centres, with what the centres and the rows leave uncertain."""

    def distribution(self) -> Distribution:
        """Return a function from features (n, d) to means and variances (n,)."""
        arrays = checked_arrays(self.folder, self.files)
        scaling = scaling_of(arrays, self.counts)
        check_array(arrays, "centers", (None, scaling.width))
        check_array(arrays, "coefficients", (len(arrays["centers"]), 1))
        check_array(arrays, "intercept", (1,))
        check_array(arrays, "spread", (len(arrays["centers"]), None))
        check_array(arrays, "calibration", (1,))
        factor = float(arrays["calibration"][0]) ** 2
        similarities = NystroemMap(self.kernel, scaling, arrays["centers"])
        coefficients, spread = arrays["coefficients"][:, 0], arrays["spread"]
        constant = float(arrays["intercept"][0])

        def predict(X: Any) -> tuple[Matrix, Matrix]:
            mean, variance = np.empty(X.shape[0]), np.empty(X.shape[0])
            for rows, alike in similarities.chunks(X):
                mean[rows] = alike @ coefficients + constant
                known = np.einsum("ij,ij->i", found := alike @ spread, found)
                own = self.noise + self.signal * np.maximum(1.0 - known, 0.0)
                variance[rows] = factor * own
            return mean, variance

        return predict
