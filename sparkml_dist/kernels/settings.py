"""Settings of a kernel and of its centres, and what a fit makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.centers.chosen import chosen_centers, sample_size
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.length_scale import held_out_length_scale, median_distance
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.kernels.sampled_rows import SampledRows
from sparkml_dist.kernels.scaling import Scaling, not_finite, row_sums, square_sums

__all__ = [
    "MISSING",
    "CenterSettings",
    "Centered",
    "KernelSettings",
    "centered",
    "fitted_kernel",
    "fitted_scaling",
    "targets_of",
]

#: What may become of missing values.
MISSING = ("error", "mean")
_SCALE_SAMPLE = 2000


@dataclass(frozen=True)
class KernelSettings:
    """Checked Params of a kernel; see `HasKernel`."""

    kernel: str
    length_scale: float | str
    nu: float
    degree: int
    standardization: bool
    impute: bool

    def resolved(self, rows: SampledRows, n_classes: int = 0) -> Kernel:
        """Return the kernel, with a length scale from standardized rows of a sample."""
        given: dict[str, Any] = {"name": self.kernel, "nu": self.nu, "degree": self.degree}
        scale = self.length_scale
        if scale == "median":
            scale = median_distance(rows.X, kernel_of(**given).norm)
        elif scale == "validation":
            scale = held_out_length_scale(rows.X, targets_of(rows.y, n_classes), given)
        return kernel_of(**given, length_scale=float(scale))

    def plain(self, length_scale: float) -> Kernel:
        """Return the kernel with a known length scale."""
        return kernel_of(self.kernel, length_scale, nu=self.nu, degree=self.degree)


@dataclass(frozen=True)
class CenterSettings:
    """Checked Params of the centres; see `HasCenters`."""

    number: int
    method: str
    given: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Centered:
    """A kernel, the space that it measures in, and centres in that space.

    Attributes
    ----------
    kernel : Kernel
    scaling : Scaling
    centers : ndarray of float64, shape (m, d)
        After scaling.
    """

    kernel: Kernel
    scaling: Scaling
    centers: npt.NDArray[np.float64]


def targets_of(y: npt.NDArray[Any], n_classes: int) -> npt.NDArray[np.float64]:
    """Return targets as columns: one for a regression, and one for each class, 1 for its rows.

    Parameters
    ----------
    y : ndarray, shape (n,)
    n_classes : int
        0 for a regression.

    Returns
    -------
    ndarray of float64, shape (n, k)
    """
    if not n_classes:
        return np.asarray(y, np.float64)[:, None]
    return (np.asarray(y)[:, None] == np.arange(n_classes)).astype(np.float64)


def fitted_scaling(source: RowSource, settings: KernelSettings) -> Scaling:
    """Return the scaling of the rows, by two passes over them, or none where it is not needed.

    Raises
    ------
    DataError
        ``empty_data`` or ``not_finite``.
    """
    counts = source.schema.category_counts()
    if not (settings.standardization or settings.impute):
        return Scaling.none(source.schema.n_features, counts)
    numbers = np.array(counts) == 0
    sums = source.add(row_sums, (numbers,))
    rows, infinite = int(sums["rows"]), int(sums["infinite"])
    if not rows:
        raise DataError("empty_data", "There are no rows.", "Check the path and filters.")
    missing = 0 if settings.impute else int(sums["missing"])
    if infinite or missing:
        raise not_finite(max(infinite, missing), rows)
    mean = sums["sum"] / np.maximum(sums["number"], 1)
    # A missing category stays one.
    fill = np.where(numbers, mean, np.nan) if settings.impute else None
    if not settings.standardization:
        return Scaling.of_numbers(np.zeros(len(mean)), np.ones(len(mean)), fill, counts)
    squares = source.add(square_sums, (mean,))["square"] / np.maximum(sums["number"], 1)
    deviation = np.sqrt(squares)
    # A feature that never varies tells rows apart by nothing; its rounding is not blown up.
    flat = deviation <= 1e-7 * np.abs(mean)
    return Scaling.of_numbers(mean, np.where(flat, 1.0, deviation), fill, counts)


def fitted_kernel(
    source: RowSource,
    settings: KernelSettings,
    scaling: Scaling,
    seed: int,
    *,
    n_classes: int = 0,
) -> Kernel:
    """Return the kernel without centres; a sample is drawn where the length scale needs one."""
    if not isinstance(settings.length_scale, str):
        return settings.plain(settings.length_scale)
    choose = partial(_length_scale, settings, scaling, n_classes=n_classes)
    found = source.sample(_SCALE_SAMPLE, seed, choose)
    return settings.plain(float(found["length_scale"]))


def centered(
    source: RowSource,
    settings: KernelSettings,
    centers: CenterSettings,
    seed: int,
    *,
    n_classes: int = 0,
    scaling: Scaling | None = None,
) -> Centered:
    """Return the kernel, the scaling and the centres of a fit.

    Parameters
    ----------
    source : RowSource
    settings : KernelSettings
    centers : CenterSettings
    seed : int
    n_classes : int, default=0
        Number of classes of the label; 0 for numbers.
    scaling : Scaling, optional
        Of the rows, where it is known.

    Raises
    ------
    DataError
        ``too_few_rows``, ``not_finite``, ``empty_data``.
    ConfigurationError
        ``invalid_param`` for centres of another width than the rows.
    """
    width = source.schema.n_features
    if centers.given is not None and centers.given.shape[1] != width:
        raise ConfigurationError(
            "invalid_param",
            f"centers have {centers.given.shape[1]} coordinates, but rows have {width} features.",
            "Give a coordinate for each feature.",
        )
    scaling = scaling or fitted_scaling(source, settings)
    if centers.given is not None:
        rows = scaling.apply(centers.given)
        if not isinstance(settings.length_scale, str):
            return Centered(settings.plain(settings.length_scale), scaling, rows)
        choose = partial(_length_scale, settings, scaling, n_classes=n_classes)
        found = source.sample(_SCALE_SAMPLE, seed, choose)
        return Centered(settings.plain(float(found["length_scale"])), scaling, rows)
    number = sample_size(centers.method, centers.number)
    choose = partial(_choose, settings, centers, scaling, seed=seed, n_classes=n_classes)
    found = source.sample(number, seed, choose)
    return Centered(settings.plain(float(found["length_scale"])), scaling, found["centers"])


def _length_scale(
    settings: KernelSettings, scaling: Scaling, rows: SampledRows, *, n_classes: int = 0
) -> Summands:
    scaled = SampledRows(scaling.apply(rows.X), rows.y, rows.weight)
    return {"length_scale": settings.resolved(scaled, n_classes).length_scale}


def _choose(
    settings: KernelSettings,
    centers: CenterSettings,
    scaling: Scaling,
    rows: SampledRows,
    *,
    seed: int,
    n_classes: int,
) -> Summands:
    scaled = SampledRows(scaling.apply(rows.X), rows.y, rows.weight)
    kernel = settings.resolved(scaled, n_classes)
    chosen = chosen_centers(scaled.X, centers.number, centers.method, kernel, seed)
    return {"length_scale": kernel.length_scale, "centers": chosen}
