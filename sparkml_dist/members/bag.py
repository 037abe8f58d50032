"""A bag: the rows of a block that one member learns from, and how often each occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.errors import DataError
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.sampling import Sampling, poisson_counts

__all__ = ["Bag", "Draw"]


@dataclass(frozen=True)
class Draw:
    """How often a member's bag holds a row: a function of the row's key, class and weight.

    Everything that depends on other rows is fixed here, so that a member's bag can be computed
    again later for any block, without the rows that it was drawn from.

    Attributes
    ----------
    member, seed : int
    sampling : Sampling
    without : Subset or None
        Rows excluded from the member's bag.
    class_rates : tuple of float or None
        Expected count of a row of each class, for balanced bags.
    mean_weight : float or None
        Mean weight of the rows, where weights become repetitions.
    everything : bool
        Whether all rows are taken, because the draw came out empty.
    """

    member: int
    seed: int
    sampling: Sampling
    without: Subset | None = None
    class_rates: tuple[float, ...] | None = None
    mean_weight: float | None = None
    everything: bool = False

    def counts(self, block: Block) -> npt.NDArray[np.int64] | None:
        """Return how often the bag holds each row of a block, shape (n,); None for once each."""
        allowed = None if self.without is None else ~self.without.mask(block.key)
        drawn = None if self.everything else self._drawn(block)
        if drawn is None or allowed is None:
            return drawn if allowed is None else allowed.astype(np.int64)
        return np.where(allowed, drawn, 0)

    def _drawn(self, block: Block) -> npt.NDArray[np.int64] | None:
        sampling = self.sampling
        kept = sampling.kept(block.key, self.seed, self.member)
        rate: Any = sampling.max_samples if sampling.replaces else 1.0
        if self.class_rates is not None:
            rate = np.asarray(self.class_rates)[block.y]
        if self.mean_weight is not None:
            assert block.weight is not None
            rate = rate * block.weight.astype(np.float64) / self.mean_weight
        elif not sampling.replaces:
            return None if kept is None else kept.astype(np.int64)
        counts = poisson_counts(block.key, rate, self.seed, self.member)
        return counts if kept is None else np.where(kept, counts, 0)


@dataclass(frozen=True)
class Bag:
    """The rows that a learner's ``fit`` gets.

    Attributes
    ----------
    X : ndarray or csr_matrix, shape (m, d)
    y : ndarray of shape (m,)
    weight : ndarray of shape (m,), or None
    rows : int
        Rows in the bag; a row drawn twice counts twice.
    draw : Draw
        How the bag was drawn.
    key : ndarray of int64, shape (m,)
        Row keys.
    """

    X: Any
    y: npt.NDArray[Any]
    weight: npt.NDArray[Any] | None
    rows: int
    draw: Draw
    key: npt.NDArray[np.int64]

    @classmethod
    def of(cls, block: Block, draw: Draw, traits: Traits) -> Bag:
        """Draw a bag from a block, in the form that a learner takes.

        Parameters
        ----------
        block : Block
        draw : Draw
            Without the fields that depend on the block's rows; they are filled in.
        traits : Traits
            Of the learner. If it takes weights, counts become weights; otherwise rows are
            repeated.
        """
        draw = _completed(block, draw, traits)
        counts = draw.counts(block)
        X: Any = block.X
        if sp.issparse(X) and not traits.allows_sparse:
            X = X.toarray().astype(traits.dtype, copy=False)
        y = block.y
        weight: npt.NDArray[Any] | None = block.weight if traits.weight_parameter else None
        if counts is None:
            return cls(X, y, weight, len(y), draw, block.key)
        rows = int(counts.sum())
        if traits.weight_parameter and counts.max() > 1 and not traits.prefers_rows:
            weight = counts if weight is None else counts * weight
            return cls(X, y, weight, rows, draw, block.key)
        chosen = np.repeat(np.arange(len(y)), counts)
        weight = None if weight is None else weight[chosen]
        return cls(X[chosen], y[chosen], weight, rows, draw, block.key[chosen])


def _completed(block: Block, draw: Draw, traits: Traits) -> Draw:
    """Fill in the fields that depend on the rows that a bag is drawn from."""
    allowed = np.ones(len(block), bool) if draw.without is None else ~draw.without.mask(block.key)
    if not allowed.any():
        raise DataError(
            "no_training_rows",
            f"All {len(block):,} rows that member {draw.member} could learn from are held out.",
            "Make fewer shards, hold out fewer rows, or use folds of a key with more values.",
        )
    rates, mean = None, None
    if draw.sampling.method == "balanced":
        found = draw.sampling.class_rates(np.bincount(block.y[allowed]))
        rates = None if found is None else tuple(found.tolist())
    if block.weight is not None and not traits.weight_parameter:
        mean = float(block.weight[allowed].mean()) or None
    completed = Draw(draw.member, draw.seed, draw.sampling, draw.without, rates, mean)
    counts = completed.counts(block)
    if counts is not None and not counts.any():
        # A bag of few rows may come out empty; the member then takes all rows.
        return Draw(draw.member, draw.seed, draw.sampling, draw.without, everything=True)
    return completed
