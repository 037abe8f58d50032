"""Random features of a kernel: waves of random frequencies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import TypeConverters

from sparkml_dist.kernels.feature_estimator import KernelFeaturesEstimator
from sparkml_dist.kernels.feature_model import KernelFeaturesModel
from sparkml_dist.kernels.fourier_map import FourierMap, check_outputs_of
from sparkml_dist.kernels.functions.kernel import Floats
from sparkml_dist.kernels.kernel_params import check_number
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.kernels.settings import fitted_kernel, fitted_scaling
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.arrays import check_array

__all__ = ["FourierFeatures", "FourierFeaturesModel"]


class FourierFeaturesModel(KernelFeaturesModel):
    """The model of `FourierFeatures`; see `KernelSpaceModel` for the attributes."""

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """The random directions, shape (numFeatures, p)."""
        return np.asarray(self.arrays["frequencies"])

    @property
    def numOutputs(self) -> int:
        """Number of features that the model makes of a row."""
        return self.frequencies.shape[1] * self.kernel.features_per_frequency()

    def _map(self) -> Callable[[Any], Floats]:
        return FourierMap(self.kernel, self.scaling, self.frequencies).features

    def _check_arrays(self) -> None:
        check_array(self.arrays, "frequencies", (self.scaling.width, None))


class FourierFeatures(KernelFeaturesEstimator):
    """Adds random features whose inner products approximate a kernel.

    A linear model on them approximates a kernel machine, at a cost that is linear in the rows.
    The features are pairs of the cosine and the sine of random projections: their inner
    product has the variance ``(1 + k(2δ) - 2 k(δ)²) / numOutputs``, which is smaller than that of
    cosines with random phases. For the arc-cosine kernels they are the outputs of random
    threshold or rectified linear units. Features are drawn from `seed` alone; only a length scale
    from the data, standardization and imputation read rows.

    Parameters
    ----------
    numOutputs : int, default=256
        Features to make of a row; an even number, except for ``"arccos"``.
    kernel : {"rbf", "laplacian", "matern", "arccos"}, default="rbf"
        ``exp(-|x-z|²/(2l²))``, ``exp(-|x-z|₁/l)``, Matérn's, or that of a network of one layer.
    lengthScale : float or "median", default="median"
        In units of the standardized features; the median distance between 1,000 random rows.
    nu : float, default=1.5
        Smoothness of ``"matern"``.
    degree : int, default=1
        Order of ``"arccos"``: 0 for threshold units, 1 for rectified linear ones.
    standardization : bool, default=True
        Whether features are centred and divided by their standard deviations first.
    missing : {"error", "mean"}, default="error"
    featuresCol, featuresCols : str, list of str
        Feature columns; ``features``, or else every numeric column, when neither is given.
    outputCol : str, default="kernelFeatures"
        Column of vectors that the model adds.
    seed : int, default=0

    References
    ----------
    Rahimi, Recht (2007), "Random features for large-scale kernel machines". Sutherland, Schneider
    (2015), "On the error of random Fourier features", arXiv:1506.02785.

    Examples
    --------
    >>> waves = FourierFeatures(numOutputs=8, featuresCols=["petal_length", "petal_width"])
    >>> waves.fit(iris).transform(iris).first().kernelFeatures.size
    8
    """

    numOutputs: Any = param(
        "numOutputs", "features to make of a row (>= 1; even but for arccos)", TypeConverters.toInt
    )

    @constructor
    def __init__(
        self,
        *,
        numOutputs: int = 256,
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
        outputs = self.getOrDefault(self.numOutputs)
        check_number("numOutputs", outputs, 1)
        check_outputs_of("numOutputs", outputs, self.getOrDefault(self.kernel))

    def _features(self, source: RowSource) -> FourierFeaturesModel:
        settings, seed = self._kernel_settings(), self.getOrDefault(self.seed)
        scaling = fitted_scaling(source, settings)
        kernel = fitted_kernel(source, settings, scaling, seed)
        outputs = self.getOrDefault(self.numOutputs)
        drawn = FourierMap.drawn(kernel, scaling, outputs, seed)
        arrays = {"frequencies": drawn.frequencies}
        return FourierFeaturesModel(source.schema, kernel, scaling, arrays, {})
