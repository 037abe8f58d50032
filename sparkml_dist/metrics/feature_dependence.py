"""The partial dependence of a model on its features, as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FeatureDependence", "PartialDependence"]


@dataclass(frozen=True, eq=False)
class FeatureDependence:
    """The mean prediction of a model when one feature has the same value in all rows.

    Attributes
    ----------
    feature : str
    values : tuple of float, or of str
        The feature's values: numbers in ascending order, or categories.
    average : ndarray of shape (n_values, n_classes), or (n_values,) for a regression
        Mean probabilities, or mean prediction.
    deciles : tuple of float
        Of a numeric feature among the rows: from the first decile to the ninth.
    """

    feature: str
    values: tuple[Any, ...]
    average: npt.NDArray[np.float64]
    deciles: tuple[float, ...] = ()

    @property
    def is_categorical(self) -> bool:
        """Whether the values are categories."""
        return bool(self.values) and isinstance(self.values[0], str)

    @property
    def spread(self) -> float:
        """Largest difference of the average over the values, for the class where it is largest."""
        return float(np.ptp(self.average, axis=0).max()) if len(self.average) else 0.0


@dataclass(frozen=True, eq=False)
class PartialDependence:
    """The partial dependence of a model on several features.

    Attributes
    ----------
    features : tuple of FeatureDependence
        In the order in which they were named.
    classes : tuple
        The class list; empty for a regression.
    label : str
        Name of the label column.
    rows : int
        Rows over which predictions are averaged.
    """

    features: tuple[FeatureDependence, ...]
    classes: tuple[Any, ...]
    label: str
    rows: int

    def __getitem__(self, feature: str) -> FeatureDependence:
        """Return the dependence on a feature.

        Raises
        ------
        KeyError
        """
        for found in self.features:
            if found.feature == feature:
                return found
        raise KeyError(feature)

    def __iter__(self) -> Iterator[FeatureDependence]:
        return iter(self.features)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "label": self.label,
            "rows": self.rows,
            "classes": list(self.classes),
            "features": [
                {
                    "name": f.feature,
                    "values": list(f.values),
                    "average": f.average.tolist(),
                    "deciles": list(f.deciles),
                }
                for f in self.features
            ],
        }

    def __repr__(self) -> str:
        return f"PartialDependence({len(self.features)} features, {self.rows:,} rows)"
