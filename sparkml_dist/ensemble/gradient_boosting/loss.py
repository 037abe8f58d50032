"""The interface of a loss for gradient boosting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LONGEST_STEP", "Array", "Loss", "RegressionLoss", "Slope"]

Array = npt.NDArray[np.float64]

#: Longest step in log odds, before shrinkage. Beyond it the quadratic approximation behind Newton
#: steps no longer resembles the loss.
LONGEST_STEP = 10.0


@dataclass(frozen=True)
class Slope:
    """First and second derivatives of a loss at the current scores.

    Attributes
    ----------
    gradient : ndarray of shape (n, n_outputs)
        Negative gradient with respect to the scores.
    curvature : ndarray of shape (n, n_outputs), or None
        Diagonal of the second derivatives; None if the loss has no useful ones.
    """

    gradient: Array
    curvature: Array | None


class Loss(ABC):
    """A loss of raw scores F of shape (n, n_outputs).

    Attributes
    ----------
    name : str
    n_outputs : int
        Scores per row: 1 for a regression or two classes, otherwise one per class.
    """

    name: str
    n_outputs: int = 1

    @abstractmethod
    def moments(self, y: npt.NDArray[Any], w: Array) -> list[float]:
        """Return the few numbers about some rows that `start` needs."""

    @abstractmethod
    def start(self, moments: Sequence[Sequence[float]]) -> tuple[Array, float]:
        """Return the initial scores of all rows, and the unit of steps.

        Parameters
        ----------
        moments : sequence of sequence of float
            The result of `moments` for each shard.

        Returns
        -------
        initial : ndarray of shape (n_outputs,)
        unit : float
        """

    @abstractmethod
    def slope(self, y: npt.NDArray[Any], F: Array, w: Array) -> Slope:
        """Return the negative gradient and the curvature at scores F."""

    def leaves(
        self, leaf: npt.NDArray[np.int64], n_nodes: int, y: Array, F: Array, slope: Slope, w: Array
    ) -> Array | None:
        """Return the best step in each leaf of a tree, for one output.

        Parameters
        ----------
        leaf : ndarray of int64, shape (n,)
            Leaf of each row, as a node number.
        n_nodes : int
        y, F : ndarray of shape (n,)
        slope : Slope
            Of that output; arrays of shape (n,).
        w : ndarray of shape (n,)
            Row weights.

        Returns
        -------
        ndarray of shape (n_nodes,) or None
            None if the leaf means are the best steps already.
        """
        assert slope.curvature is not None
        up = np.bincount(leaf, w * slope.gradient, n_nodes)
        down = np.bincount(leaf, w * slope.curvature, n_nodes)
        return np.divide(up, down, out=np.zeros(n_nodes), where=np.abs(down) > 1e-150)

    def search(
        self, y: npt.NDArray[Any], F: Array, along: Array, w: Array, unit: float
    ) -> list[list[float]]:
        """Return the few numbers about some rows that determine the length of a step.

        In this class: the first and second derivative of the loss along the direction, and the
        direction's greatest absolute value, each of length n_outputs.

        Parameters
        ----------
        y, w : ndarray of shape (n,)
            Class codes or targets, and row weights.
        F, along : ndarray of shape (n, n_outputs)
            Scores, and the direction of the step.
        unit : float
            As `start` returned it.
        """
        slope = self.slope(y, F, w)
        assert slope.curvature is not None
        falls = w @ (slope.gradient * along)
        bends = w @ (slope.curvature * along**2)
        return [falls.tolist(), bends.tolist(), np.abs(along).max(axis=0, initial=0.0).tolist()]

    def step(self, searches: Sequence[list[list[float]]], unit: float) -> Array:
        """Return the step length of each output: one Newton step, never negative.

        Parameters
        ----------
        searches : sequence
            The result of `search` for each shard.
        unit : float
            As `start` returned it.

        Returns
        -------
        ndarray of shape (n_outputs,)
        """
        falls, bends = (np.sum([s[i] for s in searches], axis=0) for i in (0, 1))
        steps = np.divide(falls, bends, out=np.zeros(len(falls)), where=bends > 1e-150)
        longest = self._longest() / np.maximum(np.max([s[2] for s in searches], axis=0), 1e-150)
        return np.asarray(np.clip(steps, 0.0, longest))

    def _longest(self) -> float:
        return np.inf

    @abstractmethod
    def link(self, F: Array) -> Array:
        """Return probabilities (n, n_classes), or predictions (n,), from scores."""


class RegressionLoss(Loss):
    """A loss whose only score is the prediction itself."""

    def link(self, F: Array) -> Array:
        """Return predictions, shape (n,)."""
        return F[:, 0]
