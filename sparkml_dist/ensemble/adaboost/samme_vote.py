"""Members of a boosted ensemble voting on blocks, by the rule of SAMME."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.adaboost.samme import samme_probabilities
from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.members.combiner import Combiner, MemberVote
from sparkml_dist.models.scoring import Predict

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["SammeVote"]


@dataclass(frozen=True)
class SammeVote(MemberVote):
    """Adds up the members' weighted votes; picklable, loaded in workers.

    Attributes
    ----------
    bank : MemberBank
        Members with their weights.
    """

    bank: MemberBank
    voting = "samme"

    def predictor(self, members: LoadedMembers) -> Predict:
        """Return the function that `load` returns, for members already in memory."""

        def predict(X: Matrix) -> npt.NDArray[np.float64]:
            votes = self._zeros(X)
            for _ in members.add_votes(X, votes):
                pass
            return samme_probabilities(votes, self.raw_scale)

        return predict

    def load_staged(self) -> Callable[[Matrix], Iterator[npt.NDArray[np.float64]]]:
        """Load the members and return a function that yields an array after each of them.

        The m-th array has the weighted votes of the first m members, shape (n, k); its largest
        entry is their prediction. The next step changes it in place.
        """
        members = self.bank.load()

        def staged(X: Matrix) -> Iterator[npt.NDArray[np.float64]]:
            votes = self._zeros(X)
            for _ in members.add_votes(X, votes):
                yield votes

        return staged

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add the vote to an ONNX graph; return the name of the probabilities, (N, n_classes)."""
        shares = Combiner(self.bank, "hard").onnx_combine(graph)
        # `samme_probabilities` without the constant that its softmax cancels.
        k = self.bank.n_classes
        scaled = graph.node("Mul", [shares, graph.constant(k / (k - 1) ** 2, np.float32)])
        return graph.node("Softmax", [scaled], axis=1)

    def _zeros(self, X: Matrix) -> npt.NDArray[np.float64]:
        return np.zeros((X.shape[0], self.bank.n_classes))
