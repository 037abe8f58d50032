"""The features of level one: base learners' outputs, and optionally the original features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema, Matrix
from sparkml_dist.dataset.writer import INDICES, KEY, LABEL, VALUES, VECTOR, WEIGHT
from sparkml_dist.errors import ConfigurationError

__all__ = ["LevelOneColumns", "check_names"]

_FORBIDDEN = ":/\\"
_RESERVED = frozenset({KEY, LABEL, WEIGHT, VECTOR, INDICES, VALUES})


def check_names(names: Sequence[Any]) -> None:
    """Raise if a base learner's name cannot be part of the names of features and files.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    for name in names:
        if not isinstance(name, str) or not name or any(c in name for c in _FORBIDDEN):
            raise ConfigurationError(
                "invalid_param",
                f"Names of estimators must be strings without {', '.join(_FORBIDDEN)}. "
                f"Got {name!r}.",
            )


@dataclass(frozen=True)
class LevelOneColumns:
    """The features of level one: base learners' outputs, then passed-through features, if any.

    Attributes
    ----------
    names : tuple of str
        Names of the base learners.
    source : FeatureSchema
        Of the original data.
    classes : tuple
        Empty for a regression.
    passthrough : bool
    """

    names: tuple[str, ...]
    source: FeatureSchema
    classes: tuple[Any, ...]
    passthrough: bool

    @property
    def per_base(self) -> int:
        """Columns of one base learner: one per class, or one for two classes or a regression."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def n_outputs(self) -> int:
        """Columns of all base learners."""
        return self.per_base * len(self.names)

    @cached_property
    def feature_names(self) -> list[str]:
        """Such as ``tree:versicolor``, by base learner; then the original features."""
        if not self.classes:
            outputs = list(self.names)
        else:
            shown = self.classes if len(self.classes) > 2 else self.classes[-1:]
            outputs = [f"{name}:{c}" for name in self.names for c in shown]
        return outputs + (self.source.feature_names if self.passthrough else [])

    @property
    def sparse(self) -> bool:
        """Whether level one is stored as CSR."""
        return self.passthrough and self.source.layout == "sparse"

    def schema(self, *, stored: bool = False) -> FeatureSchema:
        """Return the schema of level one.

        Parameters
        ----------
        stored : bool, default=False
            As passed to the writer: categories are already codes, so that all features are numeric.
        """
        names = self.feature_names
        if self.sparse:
            one = FeatureColumn("level_one", "struct", len(names), names=tuple(names))
            return FeatureSchema((one,), "sparse")
        columns = [FeatureColumn(n, "numeric") for n in names[: self.n_outputs]]
        if self.passthrough:
            each = [c for c in self.source.columns for _ in range(c.size)]
            for name, column in zip(self.source.feature_names, each, strict=True):
                known = bool(column.categories) and not stored
                kind = "categorical" if known else "numeric"
                categories = column.categories if known else ()
                columns.append(FeatureColumn(name, kind, categories=categories))  # type: ignore[arg-type]
        return FeatureSchema.build(columns, sparse=False)

    def check(self) -> None:
        """Raise if names clash.

        Raises
        ------
        ConfigurationError
            ``duplicate_names``.
        """
        seen = set(_RESERVED)
        for name in self.feature_names:
            if name in seen:
                raise ConfigurationError(
                    "duplicate_names",
                    f"Level one would have two features named {name!r}.",
                    "Give that base learner another name, or rename the feature.",
                )
            seen.add(name)

    def columns_of(self, base: int) -> slice:
        """Return the positions of a base learner's outputs."""
        return slice(base * self.per_base, (base + 1) * self.per_base)

    def output(self, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a base learner's level-one columns, shape (n, per_base), given its outputs.

        Parameters
        ----------
        outputs : ndarray of shape (n, n_classes), or (n,) for a regression
        """
        if outputs.ndim == 1:
            return outputs.reshape(-1, 1)
        return outputs[:, 1:] if len(self.classes) == 2 else outputs

    def matrix(self, outputs: npt.NDArray[np.float32], X: Matrix) -> Matrix:
        """Return the features of level one.

        Parameters
        ----------
        outputs : ndarray of float32, shape (n, n_outputs)
        X : ndarray or csr_matrix, shape (n, n_features)

        Returns
        -------
        ndarray or csr_matrix, shape (n, len(feature_names))
        """
        if not self.passthrough:
            return outputs
        if sp.issparse(X):
            return sp.csr_matrix(sp.hstack([sp.csr_matrix(outputs), X], format="csr"), dtype="f4")
        return np.hstack([outputs, np.asarray(X, np.float32)])
