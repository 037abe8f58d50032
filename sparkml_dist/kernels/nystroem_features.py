"""Nyström's features of a kernel: similarities to centres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.feature_estimator import KernelFeaturesEstimator
from sparkml_dist.kernels.feature_model import KernelFeaturesModel
from sparkml_dist.kernels.functions.kernel import Floats
from sparkml_dist.kernels.kernel_params import HasCenters
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.kernels.settings import centered
from sparkml_dist.params import constructor
from sparkml_dist.persistence.arrays import check_array

__all__ = ["NystroemFeatures", "NystroemFeaturesModel"]


class NystroemFeaturesModel(KernelFeaturesModel):
    """The model of `NystroemFeatures`; see `KernelSpaceModel` for the attributes."""

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """The centres in units of the data, a category as indicators, shape (m, e)."""
        return np.asarray(self.arrays["centers"] * self.scaling.scale + self.scaling.mean)

    @property
    def numOutputs(self) -> int:
        """Number of features; fewer than centres where these explain each other."""
        return int(self.arrays["whitening"].shape[1])

    def _map(self) -> Callable[[Any], Floats]:
        return NystroemMap(
            self.kernel, self.scaling, self.arrays["centers"], self.arrays["whitening"]
        ).features

    def _check_arrays(self) -> None:
        check_array(self.arrays, "centers", (None, self.scaling.width))
        check_array(self.arrays, "whitening", (len(self.arrays["centers"]), None))


class NystroemFeatures(KernelFeaturesEstimator, HasCenters):
    """Adds features whose inner products are the kernel, projected on a few rows.

    For two centres the inner product is exactly their similarity; for other rows it falls short of
    it by what the centres do not explain. With every row as a centre it is the kernel itself. The
    centres are part of the model, and the only rows that reach the driver.

    Parameters
    ----------
    numCenters : int, default=256
        Rows that all others are compared with; the features are as many, or fewer where some
        centres are combinations of others, to the accuracy of doubles.
    centerMethod : {"uniform", "kmeans++", "leverage"}, default="uniform"
        Random rows; rows far apart; rows that others do not explain. The latter two choose among
        10 times as many random rows, up to 20,000.
    centers : list of lists of float, optional
        The centres themselves.
    kernel, lengthScale, nu, degree, standardization, missing
        As for `FourierFeatures`.
    featuresCol, featuresCols, outputCol, seed
        As for `FourierFeatures`.

    References
    ----------
    Williams, Seeger (2001), "Using the Nyström method to speed up kernel machines".

    Examples
    --------
    >>> model = NystroemFeatures(numCenters=10, featuresCols=["petal_length"]).fit(iris)
    >>> similar = model.features([[1.4], [1.4]])
    >>> bool(similar[0] @ similar[1] <= 1.0 + 1e-9)
    True
    """

    @constructor
    def __init__(
        self,
        *,
        numCenters: int = 256,
        centerMethod: str = "uniform",
        centers: Sequence[Sequence[float]] | None = None,
        kernel: str = "rbf",
        lengthScale: float | str = "median",
        nu: float = 1.5,
        degree: int = 1,
        standardization: bool = True,
        missing: str = "error",
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        outputCol: str = "kernelFeatures",
        seed: int = 0,
    ) -> None: ...

    def _check(self) -> None:
        self._kernel_settings()
        self._center_settings()

    def _features(self, source: RowSource) -> NystroemFeaturesModel:
        found = centered(
            source,
            self._kernel_settings(),
            self._center_settings(),
            self.getOrDefault(self.seed),
        )
        made = NystroemMap.of(found)
        assert made.whitening is not None
        return NystroemFeaturesModel(
            source.schema,
            found.kernel,
            found.scaling,
            {"centers": found.centers, "whitening": made.whitening},
            {"centers": len(found.centers), "length_scale": found.kernel.length_scale},
        )
