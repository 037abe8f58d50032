"""Scores rows with boosted regressors: the sum of the stages, transformed by the loss's link."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.gradient_boosting.loss import Array, Loss
from sparkml_dist.members.bank import BankScorer, LoadedMembers, MemberBank
from sparkml_dist.models.scoring import Predict

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["AdditiveScorer", "Stage", "advance", "load_stage"]


@dataclass(frozen=True)
class Stage:
    """The contribution of one stage to the sum.

    Attributes
    ----------
    steps : tuple of float, length n_outputs
        Its step length for each output, before shrinkage.
    width : int
        Number of members whose mean is its direction.
    """

    steps: tuple[float, ...]
    width: int


@dataclass(frozen=True)
class AdditiveScorer(BankScorer):
    """Adds up the stages of a gradient boosting; picklable, loaded in workers.

    Attributes
    ----------
    bank : MemberBank
        One file per stage and shard, each with one regressor per output.
    stages : tuple of Stage
    loss : Loss
    initial : tuple of float, length n_outputs
    learning_rate : float
    """

    bank: MemberBank
    stages: tuple[Stage, ...]
    loss: Loss
    initial: tuple[float, ...]
    learning_rate: float

    @property
    def cache_key(self) -> str:
        """A key that changes with every member and step."""
        parts = [self.stages, self.loss, self.initial, self.learning_rate, self.bank.cache_key]
        return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """Not used; see `raw`."""
        return 1.0

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the scores that belong to probabilities.

        Parameters
        ----------
        probability : ndarray of shape (n, n_classes)

        Returns
        -------
        ndarray of shape (n, n_classes)
            For two classes minus and plus the log odds, as in Spark's own classifiers; for more,
            the logarithms less their mean.
        """
        logs = np.log(np.maximum(probability, np.finfo(probability.dtype).tiny))
        if probability.shape[1] == 2:
            odds = logs[:, 1] - logs[:, 0]
            return np.stack([-odds, odds], axis=1)
        return np.asarray(logs - logs.mean(axis=1, keepdims=True))

    def load(self) -> Predict:
        """Load the members and return a function of blocks (n, d).

        It returns probabilities (n, n_classes), or predictions (n,) for a regression.
        """
        scores = self._scores()

        def predict(X: Matrix) -> Array:
            F = np.tile(self.initial, (X.shape[0], 1))
            for _ in scores(X, F):
                pass
            return self.loss.link(F)

        return predict

    def load_staged(self) -> Callable[[Matrix], Iterator[Array]]:
        """Load the members and return a function that yields what `load` returns after each stage.

        The m-th array is the output of the first m stages.
        """
        scores = self._scores()

        def staged(X: Matrix) -> Iterator[Array]:
            F = np.tile(self.initial, (X.shape[0], 1))
            for _ in scores(X, F):
                yield self.loss.link(F)

        return staged

    def onnx_combine(self, graph: OnnxGraph) -> str:
        """Add the stages to an ONNX graph; return the name of the output.

        The output is probabilities, float32 (N, n_classes), or a regression's predictions (N,).
        """
        from sparkml_dist.members.onnx_members import MemberGraphs

        # The members are regressors, even in a classifier.
        members = MemberGraphs(graph, replace(self.bank, n_classes=0))
        terms, member = [], 0
        for stage in self.stages:
            steps = self.learning_rate * np.asarray(stage.steps) / stage.width
            factor = graph.constant(steps.reshape(1, -1), np.float32)
            for _ in range(stage.width):
                terms.append(graph.node("Mul", [members.columns(member), factor]))
                member += 1
        initial = graph.constant(np.reshape(self.initial, (1, -1)), np.float32)
        scores = graph.node("Sum", [initial, *terms])
        if not self.bank.n_classes:
            return graph.node("Reshape", [scores, graph.constant([-1])])
        return members.probabilities_of(scores, len(self.initial))

    def _scores(self) -> Callable[[Matrix, Array], Iterator[None]]:
        directions = load_stage(self.bank, *(s.width for s in self.stages))

        def scores(X: Matrix, F: Array) -> Iterator[None]:
            for stage, direction in zip(self.stages, directions(X), strict=True):
                advance(F, direction, stage.steps, self.learning_rate)
                yield

        return scores


def advance(F: Array, direction: Array, steps: Any, learning_rate: float) -> None:
    """Add a stage to scores F in place; used everywhere, so that all sums are rounded alike."""
    F += (learning_rate * np.asarray(steps)) * direction


def load_stage(bank: MemberBank, *widths: int) -> Callable[[Matrix], Iterator[Array]]:
    """Load members and return a function that yields the direction of each stage.

    Parameters
    ----------
    bank : MemberBank
    *widths : int
        Number of members of each stage, in turn.

    Returns
    -------
    callable
        From a block (n, d) to an iterator over ndarrays of shape (n, n_outputs).
    """
    members = LoadedMembers(bank, _Stages(bank.load().learners))

    def directions(X: Matrix) -> Iterator[Array]:
        outputs = members.outputs(X, "predict")
        for width in widths:
            total = next(outputs)
            for _ in range(width - 1):
                total = total + next(outputs)
            yield total / width

    return directions


class _Stages:
    """Members of stages, as learners with all outputs."""

    def __init__(self, members: Iterable[list[Any]]) -> None:
        self._members = members

    def __iter__(self) -> Iterator[_Columns]:
        return map(_Columns, self._members)


class _Columns:
    """Regressors as columns, one per output."""

    def __init__(self, learners: list[Any]) -> None:
        self._learners = learners

    def predict(self, X: Matrix) -> Array:
        """Return their predictions, shape (n, n_outputs)."""
        columns = np.empty((X.shape[0], len(self._learners)))
        for k, learner in enumerate(self._learners):
            columns[:, k] = _values(learner, X)
        return columns


def _values(learner: Any, X: Matrix) -> Array:
    tree = getattr(learner, "tree_", None)
    plain = isinstance(X, np.ndarray) and X.dtype == np.float32
    if tree is not None and plain and X.shape[1] == learner.n_features_in_:
        # The last step of the tree's own predict, without its validation of every row, which takes
        # longer than the prediction itself for thousands of small trees.
        return np.asarray(tree.predict(X)).reshape(-1)
    return np.asarray(learner.predict(X), dtype=np.float64).reshape(-1)
