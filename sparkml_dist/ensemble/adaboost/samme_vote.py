"""Members of a boosted ensemble voting on blocks, as SAMME lets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.adaboost.samme import samme_probabilities
from sparkml_dist.ensemble.bank import LoadedMembers, MemberBank
from sparkml_dist.ensemble.combiner import Combiner, MemberVote
from sparkml_dist.models.scoring import Predict

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["SammeVote"]


@dataclass(frozen=True)
class SammeVote(MemberVote):
    """Adds up the members' votes, each with its say; picklable, loaded in workers.

    Attributes
    ----------
    bank : MemberBank
        Members with their say as weight.
    """

    bank: MemberBank
    voting = "samme"

    def predictor(self, members: LoadedMembers) -> Predict:
        """Return the function that `load` returns, for members in memory."""

        def predict(X: Matrix) -> npt.NDArray[np.float64]:
            votes = self._zeros(X)
            for _ in members.add_votes(X, votes):
                pass
            return samme_probabilities(votes, self.raw_scale)

        return predict

    def load_staged(self) -> Callable[[Matrix], Iterator[npt.NDArray[np.float64]]]:
        """Load the members; return a function that yields an array after each of them.

        The m-th has the weighted votes of the first m, shape (n, k); its greatest entry is what
        they predict. It is changed in place by the next.
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
        # `samme_probabilities` without what its softmax cancels.
        k = self.bank.n_classes
        scaled = graph.node("Mul", [shares, graph.constant(k / (k - 1) ** 2, np.float32)])
        return graph.node("Softmax", [scaled], axis=1)

    def _zeros(self, X: Matrix) -> npt.NDArray[np.float64]:
        return np.zeros((X.shape[0], self.bank.n_classes))
