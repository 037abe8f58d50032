"""Ridge regression for few centres: exact normal equations from one pass over the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.kernels.ridge.feature_map import FeatureMap
from sparkml_dist.kernels.ridge.targets import Targets

__all__ = ["RidgeMoments", "moments_of_block", "no_rows"]

Matrix = npt.NDArray[np.float64]


def moments_of_block(block: Any, features: FeatureMap, targets: Targets) -> dict[str, Any]:
    """Return the sums that a ridge regression needs of the rows of a block.

    Parameters
    ----------
    block : Block
    features : FeatureMap
    targets : Targets

    Returns
    -------
    dict
        The names of `RidgeMoments`, and the same with ``held_`` for held-out rows, if any are.
    """
    width, columns = features.n_outputs, targets.number
    parts = ("", "held_") if targets.validation is not None else ("",)
    found: dict[str, Any] = {}
    for part in parts:
        found |= {
            f"{part}gram": np.zeros((width, width)),
            f"{part}moment": np.zeros((width, columns)),
            f"{part}feature_sum": np.zeros(width),
            f"{part}target_sum": np.zeros(columns),
            f"{part}square_sum": np.zeros(columns),
            f"{part}weight": 0.0,
            f"{part}rows": 0,
        }
    y = targets.of(block)
    weights = targets.weights(block)
    for rows, mapped in features.chunks(block.X):
        for part, weight in zip(parts, weights, strict=False):
            here = weight[rows]
            used = here > 0
            if not used.any():
                continue
            seen, t, w = mapped, y[rows], here
            if not used.all():
                seen, t, w = mapped[used], t[used], w[used]
            scaled = seen if (w == 1).all() else seen * np.sqrt(w)[:, None].astype(seen.dtype)
            found[f"{part}gram"] += scaled.T @ scaled
            weighted = t * w[:, None]
            found[f"{part}moment"] += seen.T.astype(np.float64) @ weighted
            found[f"{part}feature_sum"] += w @ seen
            found[f"{part}target_sum"] += weighted.sum(axis=0)
            found[f"{part}square_sum"] += (weighted * t).sum(axis=0)
            found[f"{part}weight"] += float(w.sum())
            found[f"{part}rows"] += len(w)
    return found


@dataclass(frozen=True)
class RidgeMoments:
    """Sums over rows, each times its weight.

    Attributes
    ----------
    gram : ndarray of float64, shape (r, r)
        Of products of features.
    moment : ndarray of float64, shape (r, k)
        Of products of features and targets.
    feature_sum : ndarray of float64, shape (r,)
    target_sum, square_sum : ndarray of float64, shape (k,)
        Of targets and their squares.
    weight : float
        Of the weights.
    """

    gram: Matrix
    moment: Matrix
    feature_sum: Matrix
    target_sum: Matrix
    square_sum: Matrix
    weight: float

    @classmethod
    def of(cls, sums: Mapping[str, Any], part: str = "") -> RidgeMoments:
        """Return the moments among added-up arrays; `part` is ``"held_"`` for held-out rows."""
        names = ("gram", "moment", "feature_sum", "target_sum", "square_sum")
        given = {name: sums[f"{part}{name}"] for name in names}
        return cls(**given, weight=float(sums[f"{part}weight"]))

    def __add__(self, other: RidgeMoments) -> RidgeMoments:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return RidgeMoments(*(a + b for a, b in pairs))

    def solved(self, alphas: Sequence[float], *, intercept: bool) -> list[tuple[Matrix, Matrix]]:
        """Return coefficients and intercepts for each penalty.

        Minimizes ``Σ w |y - F c - b|² + alpha |c|²``; `b` has no penalty, and is 0 without
        `intercept`. One eigendecomposition serves all penalties.

        Parameters
        ----------
        alphas : sequence of float
            Penalties > 0.
        intercept : bool

        Returns
        -------
        list of (ndarray of shape (r, k), ndarray of shape (k,))
        """
        gram, moment = self.gram, self.moment
        if intercept:
            mean = self.feature_sum / self.weight
            gram = gram - np.outer(self.feature_sum, mean)
            moment = moment - np.outer(mean, self.target_sum)
        values, vectors = np.linalg.eigh(gram)
        turned = vectors.T @ moment
        found = []
        for alpha in alphas:
            coefficients = vectors @ (turned / (np.maximum(values, 0.0) + alpha)[:, None])
            found.append((coefficients, self.intercept(coefficients, intercept=intercept)))
        return found

    def intercept(self, coefficients: Matrix, *, intercept: bool) -> Matrix:
        """Return the best intercepts for coefficients, shape (k,); zeros without `intercept`."""
        if not intercept:
            return np.zeros(coefficients.shape[1])
        return (self.target_sum - self.feature_sum @ coefficients) / self.weight

    def squared_error(self, coefficients: Matrix, intercept: Matrix) -> float:
        """Return the mean squared error of predictions for the rows of these sums.

        The sum of those of all columns of targets.
        """
        fitted = np.einsum("ik,ik->k", coefficients, self.gram @ coefficients)
        cross = np.einsum("ik,ik->k", coefficients, self.moment)
        total = (
            self.square_sum
            - 2 * (cross + intercept * self.target_sum)
            + fitted
            + 2 * intercept * (self.feature_sum @ coefficients)
            + intercept**2 * self.weight
        )
        return float(np.maximum(total, 0.0).sum() / self.weight)


def no_rows(held_out: bool = False) -> DataError:
    """Return the error of a fit without rows to learn from, or without held-out ones."""
    if held_out:
        return DataError(
            "no_validation_rows",
            "No rows are held out to choose alpha by.",
            "Give more rows, a larger validationFraction, or a single alpha.",
        )
    return DataError("empty_data", "There are no rows with a weight to learn from.", "Check them.")
