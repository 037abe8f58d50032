"""Counts of a shard's rows while they are written: classes, missing values, bytes in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import matrix_bytes
from sparkml_dist.dataset.manifest import ShardInfo
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.errors import DataError

__all__ = ["ShardCounts"]


class ShardCounts:
    """Counts for a shard's entry in the manifest; refuses infinities.

    Parameters
    ----------
    schema : FeatureSchema
    n_classes : int
        Number of classes; 0 for a regression.
    where : str
        What one call of `add` covers, for messages.
    """

    def __init__(self, schema: FeatureSchema, n_classes: int, where: str) -> None:
        self._schema = schema
        self._where = where
        self._class_rows = np.zeros(n_classes, np.int64)
        self._missing = 0
        self._block_bytes = 0
        self._missing_by_feature = np.zeros(schema.n_features, bool)

    def add(self, label: npt.NDArray[Any], matrix: Matrix) -> None:
        """Count some rows.

        Parameters
        ----------
        label : ndarray of shape (n,)
            Class codes, or targets.
        matrix : ndarray or csr_matrix, shape (n, n_features)

        Raises
        ------
        DataError
            ``infinite_feature``, naming the first such feature.
        """
        if len(self._class_rows):
            self._class_rows += np.bincount(label, minlength=len(self._class_rows))
        self._block_bytes += matrix_bytes(matrix)
        values = matrix if isinstance(matrix, np.ndarray) else matrix.data
        # The sum is finite unless there is an infinity, a NaN or an overflow; only then check
        # each value.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(values.sum(dtype=np.float64)):
                return
        infinite = np.isinf(values)
        if infinite.any():
            raise self._infinite_feature(matrix, infinite)
        nan = np.isnan(values)
        self._missing += int(nan.sum())
        if isinstance(matrix, np.ndarray):
            self._missing_by_feature |= nan.any(axis=0)
        else:
            self._missing_by_feature[matrix.indices[nan]] = True

    def fill(self, info: ShardInfo) -> ShardInfo:
        """Return a shard's entry with the counts filled in."""
        return replace(
            info,
            block_bytes=self._block_bytes,
            class_rows=tuple(self._class_rows.tolist()),
            missing=self._missing,
        )

    @property
    def missing_features(self) -> list[int]:
        """Positions of the features with at least one NaN."""
        found: list[int] = np.flatnonzero(self._missing_by_feature).tolist()
        return found

    def _infinite_feature(self, matrix: Matrix, infinite: npt.NDArray[Any]) -> DataError:
        if isinstance(matrix, np.ndarray):
            feature = int(np.flatnonzero(infinite.any(axis=0))[0])
        else:
            feature = int(matrix.indices[np.flatnonzero(infinite)[0]])
        return DataError(
            "infinite_feature",
            f"The feature {self._schema.feature_names[feature]!r} is infinite or outside the "
            f"range of {self._schema.precision}: {int(infinite.sum()):,} such values in "
            f"{self._where}.",
            "Clip it or set it to null; nulls become missing values.",
        )
