"""Writes the arrays of a machine on centres to its folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.kernels.feature_model import scaling_arrays
from sparkml_dist.kernels.fourier_map import FourierMap
from sparkml_dist.kernels.ridge.fit import Space
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["write_arrays", "write_machine"]


def write_machine(
    folder: Folder, found: Space, coefficients: Any, intercept: Any, **more: Any
) -> list[ModelFile]:
    """Write the scaling, the centres or frequencies, the coefficients and more arrays.

    Parameters
    ----------
    folder : Folder
    found : Centered or FourierMap
    coefficients : ndarray of float64, shape (m, k)
    intercept : ndarray of float64, shape (k,)
    more : ndarray
        Further arrays by name.

    Returns
    -------
    list of ModelFile
    """
    if isinstance(found, FourierMap):
        space = {"frequencies": found.frequencies}
    else:
        space = {"centers": found.centers}
    return write_arrays(
        folder,
        **space,
        coefficients=coefficients,
        intercept=intercept,
        **scaling_arrays(found.scaling),
        **more,
    )


def write_arrays(folder: Folder, **arrays: Any) -> list[ModelFile]:
    """Write arrays as float64, a file each, and return the files."""
    for name, array in arrays.items():
        write_array(folder, f"{name}.npy", np.ascontiguousarray(array, np.float64))
    return [ModelFile.of(folder, f"{name}.npy") for name in arrays]
