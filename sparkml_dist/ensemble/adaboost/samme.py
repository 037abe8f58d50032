"""SAMME, the arithmetic of AdaBoost for several classes, in the same steps as scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import TrainingError
from sparkml_dist.persistence.filesystem import Folder

__all__ = [
    "Round",
    "RoundLog",
    "Stop",
    "boosted",
    "normalised",
    "refuse_chance",
    "round_result",
    "samme_probabilities",
]

Stop = Literal["", "perfect", "chance", "overflow"]

# Lower bound of positive weights, so that a row can regain weight (scikit-learn #20320).
_LEAST = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Round:
    """The result of a round of boosting.

    Attributes
    ----------
    number : int
        Number of the member that the round fitted.
    error : float
        Weighted share of the rows that it misclassifies.
    weight : float
        Its weight in the vote.
    stop : {"", "perfect", "chance", "overflow"}
        Why boosting stops here: no row is misclassified; the member is no better than chance and is
        left out; row weights overflowed.
    """

    number: int
    error: float
    weight: float
    stop: Stop = ""

    @property
    def counts(self) -> bool:
        """Whether the member belongs to the ensemble."""
        return self.stop != "chance"


def round_result(number: int, missed: float, total: float, n_classes: int, rate: float) -> Round:
    """Return the round of a member, given the weight of the rows that it misclassifies.

    Parameters
    ----------
    number : int
    missed, total : float
        Weight of the rows that the member misclassifies, and of all rows.
    n_classes : int
    rate : float
        Learning rate.

    References
    ----------
    Zhu, Zou, Rosset, Hastie (2009), "Multi-class AdaBoost", algorithm 2.
    """
    error = missed / total
    if error <= 0:
        return Round(number, 0.0, 1.0, "perfect")
    if error >= 1.0 - 1.0 / n_classes:
        return Round(number, float(error), 0.0, "chance")
    weight = rate * float(np.log((1.0 - error) / error) + np.log(n_classes - 1.0))
    return Round(number, float(error), weight)


def normalised(weight: npt.NDArray[np.float64], total: float) -> npt.NDArray[np.float64]:
    """Return the weights at the start of a round, with sum 1 up to the lower bound of a weight.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights of 0 stay 0.
    total : float
        Sum over all rows, including those of other shards.
    """
    found = np.clip(weight / total, _LEAST, None)
    found[weight == 0.0] = 0.0
    return found


def boosted(
    weight: npt.NDArray[np.float64], vote_weight: float, missed: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return unnormalised weights after a round: those of misclassified rows grow.

    Parameters
    ----------
    weight : ndarray of shape (n,)
    vote_weight : float
        The member's weight in the vote.
    missed : ndarray of bool, shape (n,)
    """
    with np.errstate(divide="ignore", over="ignore"):
        grown: npt.NDArray[np.float64] = np.exp(
            np.log(weight) + vote_weight * missed * (weight > 0)
        )
    return grown


def samme_probabilities(
    votes: npt.NDArray[np.float64], total: float | None = None
) -> npt.NDArray[np.float64]:
    """Return class probabilities from weighted votes.

    Parameters
    ----------
    votes : ndarray of shape (n, n_classes)
        Sum of the weights of the members that vote for each class.
    total : float, optional
        Weight of all members; the sum of each row by default.

    Returns
    -------
    ndarray of shape (n, n_classes)

    References
    ----------
    Zhu, Zou, Rosset, Hastie (2009), "Multi-class AdaBoost", equation 15.
    """
    from sklearn.utils.extmath import softmax

    k = votes.shape[1]
    if k == 1:
        return np.ones_like(votes)
    whole: Any = votes.sum(axis=1, keepdims=True) if total is None else total
    # A member outputs 1 for its class and -1 / (k - 1) for the others.
    decision = (votes - (whole - votes) / (k - 1)) / whole
    proba: npt.NDArray[np.float64] = softmax(decision / (k - 1), copy=False)
    return proba


@dataclass(frozen=True)
class RoundLog:
    """The rounds committed in a model's folder, in one JSON file each."""

    folder: Folder

    @classmethod
    def of(cls, model_folder: Folder) -> RoundLog:
        """Return the log of a model's folder."""
        return cls(model_folder.child("rounds"))

    def get(self, number: int) -> Round | None:
        """Return a round, or None if it is not committed."""
        name = self._name(number)
        return Round(**self.folder.read_json(name)) if self.folder.exists(name) else None

    def put(self, found: Round) -> Round:
        """Commit a round."""
        self.folder.write_json(self._name(found.number), asdict(found))
        return found

    def count(self) -> int:
        """Return how many rounds are committed."""
        return len(self.folder.names(".json"))

    def run(self, first: int, most: int) -> list[Round]:
        """Return the committed rounds from `first` on, up to a gap or the end of boosting."""
        rounds: list[Round] = []
        while len(rounds) < most and (found := self.get(first + len(rounds))) is not None:
            rounds.append(found)
            if found.stop:
                break
        return rounds

    def is_complete(self, first: int, most: int) -> bool:
        """Return whether boosting from `first` on needs no further round."""
        rounds = self.run(first, most)
        return len(rounds) == most or bool(rounds and rounds[-1].stop)

    @staticmethod
    def _name(number: int) -> str:
        return f"round-{number:05d}.json"


def refuse_chance(rounds: Sequence[Round], n_classes: int, where: str = "") -> None:
    """Raise if no round found a member better than chance.

    Raises
    ------
    TrainingError
        ``worse_than_chance``.
    """
    if any(r.counts for r in rounds):
        return
    error = rounds[0].error if rounds else math.nan
    raise TrainingError(
        "worse_than_chance",
        f"The learner is no better than chance{where}: it misclassifies {error:.1%} of the "
        f"weight; guessing among {n_classes} classes misclassifies {1 - 1 / n_classes:.1%}.",
        "Boost a stronger learner (a deeper tree), or check whether the features are informative.",
    )
