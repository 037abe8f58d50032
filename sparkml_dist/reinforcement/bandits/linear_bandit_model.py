"""The model of the linear bandits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.models.loading import Saved
from sparkml_dist.persistence.arrays import check_array, read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.reinforcement.bandits.linear_policy import LinearBanditPolicy
from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.policy_model import PolicyModel

__all__ = ["LinearBanditModel"]

_NAMES = ("gram", "moment")


class LinearBanditModel(PolicyModel):
    """The model of `LinUCB` and `LinearThompsonSampling`.

    ``transform`` adds the mean rewards of all actions, the likeliest action, and its probability.

    Attributes
    ----------
    gram : ndarray, shape (n_actions, n_functions, n_functions)
        ``alpha I + Σ weight x xᵀ`` over the rows of each action. The first of x is a constant, then
        come the features; a word has an indicator of each category but the first.
    moment : ndarray, shape (n_actions, n_functions)
        ``Σ weight reward x``.
    exploration : float
    kind : {"optimism", "sampling"}
    """

    def __init__(
        self,
        schema: FeatureSchema,
        label: Label,
        summary: dict[str, Any],
        arrays: dict[str, Any],
        *,
        exploration: float,
        kind: str,
    ) -> None:
        super().__init__(schema, label, summary)
        self._arrays = arrays
        self.exploration = exploration
        self.kind = kind

    @property
    def gram(self) -> npt.NDArray[np.float64]:
        """The matrices of the normal equations."""
        found: npt.NDArray[np.float64] = self._arrays["gram"]
        return found

    @property
    def moment(self) -> npt.NDArray[np.float64]:
        """The right sides of the normal equations."""
        found: npt.NDArray[np.float64] = self._arrays["moment"]
        return found

    @property
    def coefficients(self) -> npt.NDArray[np.float64]:
        """Ridge coefficients of each action, shape (n_actions, n_functions), the constant first."""
        return np.asarray(np.linalg.solve(self.gram, self.moment[:, :, None])[:, :, 0], float)

    def to_local(self) -> LinearBanditPolicy:
        """Return the policy in memory, without Spark."""
        covariance = np.asarray(np.linalg.inv(self.gram), float)
        return LinearBanditPolicy(
            self.actions,
            self.coefficients,
            covariance,
            self.exploration,
            self.kind,
            StateFeatures.of(self.schema).categories,
        )

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "exploration": self.exploration, "kind": self.kind}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name in _NAMES:
            write_array(folder, f"{name}.npy", self._arrays[name])
        return [ModelFile.of(folder, f"{name}.npy") for name in _NAMES]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        arrays = {n: read_array(saved.folder, saved.listed(f"{n}.npy")) for n in _NAMES}
        schema, label = FeatureSchema.from_dict(state["features"]), Label.from_dict(state["label"])
        n, p = len(label.classes), StateFeatures.of(schema).width
        check_array(arrays, "gram", (n, p, p))
        check_array(arrays, "moment", (n, p))
        if state["kind"] not in ("optimism", "sampling"):
            raise ValueError(f"kind is {state['kind']!r}")
        return cls(
            schema,
            label,
            dict(state["summary"]),
            arrays,
            exploration=float(state["exploration"]),
            kind=str(state["kind"]),
        )
