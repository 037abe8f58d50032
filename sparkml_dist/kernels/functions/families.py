"""The kernel of a name, with its parameters."""

from __future__ import annotations

import math
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.kernels.functions.arc_cosine import ArcCosineKernel
from sparkml_dist.kernels.functions.gaussian import GaussianKernel
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.functions.laplacian import LaplacianKernel
from sparkml_dist.kernels.functions.matern import MaternKernel

__all__ = ["KERNELS", "kernel_from_dict", "kernel_of"]

#: Names of the families.
KERNELS = ("rbf", "laplacian", "matern", "arccos")


def kernel_of(name: str, length_scale: float = 1.0, *, nu: float = 1.5, degree: int = 1) -> Kernel:
    """Return a kernel.

    Parameters
    ----------
    name : {"rbf", "laplacian", "matern", "arccos"}
    length_scale : float, default=1
    nu : float, default=1.5
        Smoothness of ``"matern"``.
    degree : int, default=1
        Order of ``"arccos"``.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> kernel_of("matern", 2.0, nu=0.5)
    MaternKernel(length_scale=2.0, nu=0.5)
    """
    if name not in KERNELS:
        raise ConfigurationError(
            "invalid_param",
            f"kernel must be one of {', '.join(KERNELS)}. Got {name!r}.{nearest(name, KERNELS)}",
        )
    if not (length_scale > 0 and math.isfinite(length_scale)):
        raise ConfigurationError(
            "invalid_param",
            f"lengthScale must be a number > 0. Got {length_scale!r}.",
            'Use "median" for the median distance between rows.',
        )
    if not (nu > 0 and math.isfinite(nu)):
        raise ConfigurationError("invalid_param", f"nu must be a number > 0. Got {nu!r}.")
    if degree not in (0, 1):
        raise ConfigurationError("invalid_param", f"degree must be 0 or 1. Got {degree!r}.")
    if name == "laplacian":
        return LaplacianKernel(length_scale)
    if name == "matern":
        return MaternKernel(length_scale, nu)
    if name == "arccos":
        return ArcCosineKernel(length_scale, degree)
    return GaussianKernel(length_scale)


def kernel_from_dict(value: dict[str, Any]) -> Kernel:
    """Return the kernel that `Kernel.to_dict` described; raises KeyError, TypeError or ValueError
    for others.
    """
    given = {"nu": 1.5, "degree": 1, **value}
    numbers = [given["length_scale"], given["nu"], given["degree"]]
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in numbers):
        raise TypeError("the parameters of a kernel must be numbers")
    try:
        return kernel_of(
            given["name"], float(given["length_scale"]), nu=given["nu"], degree=given["degree"]
        )
    except ConfigurationError as error:
        raise ValueError(str(error)) from error
