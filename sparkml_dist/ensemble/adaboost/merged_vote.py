"""Members that vote in two steps: within merged hypotheses, and then these by their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.adaboost.samme import samme_probabilities
from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.members.combiner import MemberVote
from sparkml_dist.models.scoring import Predict

__all__ = ["MergedVote"]


@dataclass(frozen=True)
class MergedVote(MemberVote):
    """Lets each merged hypothesis predict the majority class of its members; picklable.

    Between classes with equally many votes, the total weight of the voters decides. A merged
    hypothesis has the mean weight of its members.

    Attributes
    ----------
    bank : MemberBank
        Members, ordered by hypothesis.
    sizes : tuple of int
        Number of members of each hypothesis.
    """

    bank: MemberBank
    sizes: tuple[int, ...]
    voting = "merged"

    @property
    def hypothesis_weights(self) -> list[float]:
        """Weight of each merged hypothesis."""
        weights = iter(m.weight for m in self.bank.members)
        return [sum(next(weights) for _ in range(size)) / size for size in self.sizes]

    @property
    def cache_key(self) -> str:
        """A key that changes with every member, weight and merging."""
        return hashlib.sha256(
            f"{self.voting}/{self.sizes}/{self.bank.cache_key}".encode()
        ).hexdigest()

    @property
    def raw_scale(self) -> float:
        """The total weight of the hypotheses: ``rawPrediction`` is the probability times it."""
        return float(sum(self.hypothesis_weights))

    def predictor(self, members: LoadedMembers) -> Predict:
        """Return the function that `load` returns, for members already in memory."""

        def predict(X: Matrix) -> npt.NDArray[np.float64]:
            votes = np.zeros((X.shape[0], self.bank.n_classes))
            for merged, weight, whole in self._merging(members, X):
                if whole:
                    votes[np.arange(len(votes)), merged.argmax(axis=1)] += weight
            return samme_probabilities(votes, self.raw_scale)

        return predict

    def load_staged(self) -> Callable[[Matrix], Iterator[npt.NDArray[np.float64]]]:
        """Load the members and return a function that yields an array after each of them.

        The m-th array holds the votes of the hypotheses that the first m members form, shape (n,
        k).
        """
        members = self.bank.load()

        def staged(X: Matrix) -> Iterator[npt.NDArray[np.float64]]:
            done = np.zeros((X.shape[0], self.bank.n_classes))
            rows = np.arange(len(done))
            for merged, weight, whole in self._merging(members, X):
                votes = done if whole else done.copy()
                votes[rows, merged.argmax(axis=1)] += weight
                yield votes

        return staged

    def _merging(
        self, members: LoadedMembers, X: Matrix
    ) -> Iterator[tuple[npt.NDArray[np.float64], float, bool]]:
        """Yield after each member its hypothesis's votes, weight, and whether it is complete."""
        outputs = members.outputs(X, "predict")
        weights = [m.weight for m in self.bank.members]
        rows = np.arange(X.shape[0])
        first = 0
        for size in self.sizes:
            group = weights[first : first + size]
            merged = np.zeros((X.shape[0], self.bank.n_classes))
            for i, weight in enumerate(group):
                # The weights break ties; together they count less than one vote.
                vote = 1.0 + weight / (1.0 + sum(group))
                merged[rows, np.asarray(next(outputs)).astype(np.int64)] += vote
                yield merged, sum(group[: i + 1]) / (i + 1), i + 1 == size
            first += size
