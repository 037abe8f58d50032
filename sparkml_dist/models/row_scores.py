"""From features to the columns that scoring adds, as Arrow arrays; runs in workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import Matrix

__all__ = ["ClassScores"]


@dataclass(frozen=True)
class ClassScores:
    """The columns of a classifier's scores.

    Attributes
    ----------
    label : Label
        The class list.
    raw_scale : float or None
        Factor from probability to ``raw``; None without that column.
    raw : callable or None
        From probabilities to ``raw``, in the place of the factor.
    named : bool
        Whether there is a column of class names.
    places : sequence of int
        Positions of the measures of each row that are wanted.
    """

    label: Label
    raw_scale: float | None
    raw: Any
    named: bool
    places: Sequence[int] = ()

    def fields(self) -> list[str]:
        """Return name and Spark type of each column."""
        found = ["prediction: double", "probability: array<float>"]
        if self.raw_scale is not None:
            found.append("raw: array<float>")
        if self.named:
            found.append(f"label: {self.label.predicted_type}")
        return found + [f"measure{place}: double" for place in self.places]

    def arrays(self, model: Any, features: Matrix) -> list[pa.Array]:
        """Return the columns of rows, in the order of `fields`.

        Parameters
        ----------
        model : callable
            From features to probabilities, shape (n, n_classes); with a method ``measured`` where
            measures are wanted.
        features : ndarray or csr_matrix, shape (n, d)
        """
        measures = None
        if self.places:
            found = model.measured(features)
            prediction, measures = found.prediction, found.measures
        else:
            prediction = model(features)
        proba = np.ascontiguousarray(prediction, dtype=np.float32)
        best = proba.argmax(axis=1)
        arrays = [pa.array(self.label.class_values()[best]), _lists(proba)]
        if self.raw_scale is not None:
            raw = proba * self.raw_scale if self.raw is None else self.raw(proba)
            arrays.append(_lists(raw.astype(np.float32, copy=False)))
        if self.named:
            arrays.append(self.label.class_array().take(pa.array(best)))
        if measures is not None:
            arrays += [pa.array(measures[:, p].astype(np.float64)) for p in self.places]
        return arrays


def _lists(matrix: npt.NDArray[np.float32]) -> pa.Array:
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
