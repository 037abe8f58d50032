"""Scores rows with several networks: mean probabilities and measures of disagreement."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.scoring.scorer import KerasScorer
from sparkml_dist.deep.scoring.uncertainty import MEASURES, uncertainty
from sparkml_dist.models.scoring import Measured, Predict

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["DeepEnsembleScorer"]


@dataclass(frozen=True)
class DeepEnsembleScorer:
    """The networks of an ensemble, in the form that is sent to workers.

    Attributes
    ----------
    members : tuple of KerasScorer
        Scorers of classifiers with the same classes.
    """

    members: tuple[KerasScorer, ...]

    raw_scale: ClassVar[float] = 1.0
    measures: ClassVar[Sequence[str]] = MEASURES

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        keys = "\n".join(m.cache_key for m in self.members)
        return f"deep-ensemble/{hashlib.sha256(keys.encode()).hexdigest()}"

    def load(self) -> Predict:
        """Return a function from features (n, d) to mean probabilities (n, n_classes).

        Loads all networks; see `KerasScorer.load`.
        """
        return _Networks([m.load() for m in self.members])

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add all networks to a graph; return the name of the mean of their probabilities."""
        found = [m.onnx_combine(graph, f"network{i}_") for i, m in enumerate(self.members)]
        return found[0] if len(found) == 1 else graph.node("Mean", found)

    def probe_rows(self, n_features: int, rows: int) -> npt.NDArray[np.float32]:
        """Return valid rows for comparing the networks with their ONNX form."""
        return self.members[0].probe_rows(n_features, rows)


class _Networks:
    """The loaded networks."""

    def __init__(self, predicts: list[Callable[[Any], npt.NDArray[np.float32]]]) -> None:
        self._predicts = predicts

    def __call__(self, X: Any) -> npt.NDArray[np.float32]:
        return self.measured(X).prediction

    def measured(self, X: Any) -> Measured:
        """Return mean probabilities and measures of uncertainty for each row."""
        members = np.stack([predict(X) for predict in self._predicts])
        mean = members.mean(axis=0, dtype=np.float64).astype(np.float32)
        return Measured(mean, uncertainty(members))
