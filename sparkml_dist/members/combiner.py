"""Members voting on blocks: soft, hard, or the mean of regressors' predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.members.bank import BankScorer, LoadedMembers, MemberBank
from sparkml_dist.members.tree_order import tree_order
from sparkml_dist.models.scoring import Predict

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["Combiner", "MemberVote", "Voting"]

Voting = Literal["soft", "hard", "mean"]


class MemberVote(BankScorer):
    """Base of the scorers that combine members by a vote.

    Attributes
    ----------
    voting : str
        How members vote, as named in the manifest.
    """

    voting: str

    @property
    def cache_key(self) -> str:
        """A key that changes with every member, weight and way of voting."""
        return hashlib.sha256(f"{self.voting}/{self.bank.cache_key}".encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """The total weight of the members: ``rawPrediction`` is the probability times it."""
        return float(sum(m.weight for m in self.bank.members))

    def load(self) -> Predict:
        """Load the members and return a function of blocks (n, d).

        It returns probabilities (n, n_classes), or predictions (n,) for a regression.
        """
        return self.predictor(self.bank.load())

    def predictor(self, members: LoadedMembers) -> Predict:
        """Return the function that `load` returns, for members already in memory."""
        raise NotImplementedError


@dataclass(frozen=True)
class Combiner(MemberVote):
    """Combines members by a weighted vote; picklable, loaded in workers.

    Attributes
    ----------
    bank : MemberBank
    voting : {"soft", "hard", "mean"}
        Mean of probabilities, share of votes, or mean of regressors' predictions.
    """

    bank: MemberBank
    voting: Voting

    def __post_init__(self) -> None:
        """Raise if `voting` is not known: a manifest may hold any value."""
        if self.voting not in get_args(Voting):
            raise ValueError(f"voting must be one of {get_args(Voting)}. Got {self.voting!r}")

    def predictor(self, members: LoadedMembers) -> Predict:
        """Return the function that `load` returns, for members already in memory."""
        add = self._add(members)

        def predict(X: Matrix) -> npt.NDArray[np.float64]:
            order = tree_order(members.learners, X)
            votes = self._zeros(X)
            for _ in add(X if order is None else X[order], votes):
                pass
            votes /= self.raw_scale
            if order is None:
                return votes
            found = np.empty_like(votes)
            found[order] = votes
            return found

        return predict

    def load_staged(self) -> Callable[[Matrix], Iterator[npt.NDArray[np.float64]]]:
        """Load the members and return a function that yields the partial vote after each of them.

        The m-th array is the weighted sum of the outputs of the first m members, in the shape that
        `load` describes; the next step changes it in place.
        """
        add = self._add(self.bank.load())

        def staged(X: Matrix) -> Iterator[npt.NDArray[np.float64]]:
            votes = self._zeros(X)
            for _ in add(X, votes):
                yield votes

        return staged

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add the vote to an ONNX graph and return the name of its output.

        The output is probabilities, float32 (N, n_classes), or a regression's predictions (N,).
        """
        from sparkml_dist.members.onnx_members import MemberGraphs

        members = MemberGraphs(graph, self.bank)
        shares = [m.weight / self.raw_scale for m in self.bank.members]
        terms = []
        for i, share in enumerate(shares):
            if self.voting == "hard":
                values = graph.constant([0.0, share], np.float32)
                width = graph.constant(self.bank.n_classes, np.int64)
                terms.append(graph.node("OneHot", [members.codes(i), width, values], axis=1))
                continue
            output = members.values(i) if self.voting == "mean" else members.probabilities(i)
            terms.append(graph.node("Mul", [output, graph.constant(share, np.float32)]))
        total = graph.node("Sum", terms)
        if self.voting == "mean":
            return graph.node("Reshape", [total, graph.constant([-1])])
        return total

    def _zeros(self, X: Matrix) -> npt.NDArray[np.float64]:
        return np.zeros((X.shape[0], self.bank.n_classes) if self.bank.n_classes else X.shape[0])

    def _add(self, members: LoadedMembers) -> Callable[[Matrix, Any], Iterator[None]]:
        ways = {
            "soft": members.add_probabilities,
            "hard": members.add_votes,
            "mean": members.add_values,
        }
        return ways[self.voting]
