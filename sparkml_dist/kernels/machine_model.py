"""Base of the fitted machines on centres."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.families import kernel_from_dict
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.machine_scorer import MachineScorer, checked_arrays
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.fields import one_of
from sparkml_dist.report.fitted_model import FittedModel

__all__ = ["KernelMachineModel"]


class KernelMachineModel(FittedModel, ShardModel):
    """A machine whose scores are weighted similarities to centres; see `ShardModel`.

    Attributes
    ----------
    kernel : Kernel
    centers, coefficients, intercept : ndarray
    summary : dict
        ``centers``, ``length_scale``, ``alpha``, ``path`` (a held-out loss for each penalty, if
        there were several), ``solver``, ``passes`` over the rows, ``seconds``; of iterative
        solvers ``iterations``, ``residual`` (relative) and ``converged``.
    """

    @property
    def kernel(self) -> Kernel:
        """The kernel, with the length scale that the fit used."""
        return kernel_from_dict(self.content["kernel"])

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """The centres in units of the data, a category as indicators; none with random features."""
        arrays = self._arrays()
        if "centers" not in arrays:
            return np.empty((0, len(arrays["mean"])))
        return np.asarray(arrays["centers"] * arrays["scale"] + arrays["mean"])

    @property
    def coefficients(self) -> npt.NDArray[np.float64]:
        """Weights of the similarities to the centres, shape (m, 1) or (m, n_classes)."""
        return np.asarray(self._arrays()["coefficients"])

    @property
    def intercept(self) -> npt.NDArray[np.float64]:
        """What is added to the scores, shape (1,) or (n_classes,)."""
        return np.asarray(self._arrays()["intercept"])

    def _arrays(self) -> dict[str, Any]:
        return checked_arrays(self.folder, self.files)

    def _scorer(self) -> MachineScorer:
        return MachineScorer(
            self.folder,
            self.files,
            self.kernel,
            one_of(self.content["dtype"], "dtype", ("float64", "float32")),
            tuple(self.schema.category_counts()),
            len(self.label.classes),
            one_of(self.content["loss"], "loss", ("squared", "logistic")),
        )

    def _check_restored(self) -> None:
        self._scorer().scores()
