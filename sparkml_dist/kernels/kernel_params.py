"""Params of the kernel and of the centres, checked before the first job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.kernels.centers.chosen import CENTER_METHODS
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.settings import MISSING, CenterSettings, KernelSettings
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasCenters", "HasKernel", "check_number", "check_option"]


def check_number(name: str, value: float, least: float, *, closed: bool = True) -> None:
    """Raise unless a Param is a finite number of `least` or more; or more, where not `closed`.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    fits = value >= least if closed else value > least
    if not (fits and math.isfinite(value)):
        sign = ">=" if closed else ">"
        raise ConfigurationError(
            "invalid_param", f"{name} must be {sign} {least:g}. Got {value!r}."
        )


def check_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raise unless a Param is one of some names.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if value not in options:
        raise ConfigurationError(
            "invalid_param", f"{name} must be one of {', '.join(options)}. Got {value!r}."
        )


class HasKernel(AccessibleParams):
    """Params of the kernel and of the space in which it measures."""

    kernel: Any = param(
        "kernel", "'rbf', 'laplacian', 'matern' or 'arccos'", TypeConverters.toString
    )
    lengthScale: Any = param(
        "lengthScale",
        "distance over which similarity fades (> 0), 'median' for the median distance between "
        "rows, or, with a label, 'validation' for the best on held-out rows of a sample",
    )
    nu: Any = param("nu", "smoothness of the matern kernel (> 0)", TypeConverters.toFloat)
    degree: Any = param("degree", "order of the arccos kernel (0 or 1)", TypeConverters.toInt)
    standardization: Any = param(
        "standardization",
        "whether features are centred and divided by their standard deviations first",
        TypeConverters.toBoolean,
    )
    missing: Any = param(
        "missing",
        "what becomes of missing values: 'error', or 'mean' for the mean of the feature",
        TypeConverters.toString,
    )

    #: Words that stand for a length scale.
    _length_scales: tuple[str, ...] = ("median",)

    def _kernel_settings(self) -> KernelSettings:
        """Return the checked Params.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        scale = self.getOrDefault(self.lengthScale)
        words = self._length_scales
        if isinstance(scale, str) and scale not in words:
            known = " or ".join(repr(w) for w in words)
            raise ConfigurationError(
                "invalid_param", f"lengthScale must be a number > 0, or {known}. Got {scale!r}."
            )
        if not isinstance(scale, str | int | float) or isinstance(scale, bool):
            raise ConfigurationError(
                "invalid_param", f"lengthScale must be a number > 0 or a word. Got {scale!r}."
            )
        check_option("missing", self.getOrDefault(self.missing), MISSING)
        found = KernelSettings(
            self.getOrDefault(self.kernel),
            scale if isinstance(scale, str) else float(scale),
            self.getOrDefault(self.nu),
            self.getOrDefault(self.degree),
            self.getOrDefault(self.standardization),
            self.getOrDefault(self.missing) == "mean",
        )
        kernel_of(
            found.kernel,
            1.0 if isinstance(found.length_scale, str) else found.length_scale,
            nu=found.nu,
            degree=found.degree,
        )
        return found


class HasCenters(HasKernel):
    """Params of the centres of Nyström's approximation."""

    numCenters: Any = param(
        "numCenters", "rows that all others are compared with (>= 1)", TypeConverters.toInt
    )
    centerMethod: Any = param(
        "centerMethod",
        "how centres are chosen: 'uniform', 'kmeans++' (far apart) or 'leverage' (rows that others "
        "do not explain)",
        TypeConverters.toString,
    )
    centers: Any = param(
        "centers", "the centres themselves, a list of lists of numbers in place of numCenters"
    )

    def _center_settings(self) -> CenterSettings:
        """Return the checked Params.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        number = self.getOrDefault(self.numCenters)
        check_number("numCenters", number, 1)
        method = self.getOrDefault(self.centerMethod)
        check_option("centerMethod", method, CENTER_METHODS)
        given = self._value(self.centers)
        if given is None:
            return CenterSettings(number, method)
        try:
            rows = np.array(given, np.float64)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
            raise ConfigurationError(
                "invalid_param",
                "centers must be a list of rows, each a list of as many finite numbers.",
                "Leave it unset to have numCenters rows chosen.",
            )
        return CenterSettings(len(rows), method, rows)
