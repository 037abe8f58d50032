"""Small votes on one shard: bites of its rows, drawn preferably where the vote so far is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.ensemble.member_maker import MemberMaker
from sparkml_dist.errors import DataError
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.members.weighted_rows import as_learner_takes

__all__ = ["BiteSequence", "OutOfBag", "bite"]

# Weight of earlier errors in the running average of the error (Breiman 1999, p = 0.75).
_MEMORY = 0.75
# A bite holds at most this share of a shard, so that some rows stay out of bag.
_LARGEST_BITE = 2 / 3


def bite(
    key: npt.NDArray[np.int64],
    chance: npt.NDArray[np.float64],
    size: int,
    seed: int,
    member: int,
) -> npt.NDArray[np.int64]:
    """Draw rows without replacement, each with its probability of being accepted.

    Conceptually, rows are visited in random order again and again and accepted with their
    probability, until there are `size` of them. Equivalently, each row arrives after an exponential
    time with the probability as its rate, and the first `size` arrivals win; one sort finds them.

    Parameters
    ----------
    key : ndarray of int64, shape (n,)
    chance : ndarray of shape (n,)
        Up to a common factor; rows with 0 are never drawn.
    size, seed, member : int

    Returns
    -------
    ndarray of int64, shape (m,)
        Positions, sorted.
    """
    there = np.flatnonzero(chance > 0)
    arrival = -np.log1p(-uniform(key[there], seed, "bite", member)) / chance[there]
    return np.sort(there[np.argsort(arrival, kind="stable")[:size]])


@dataclass
class OutOfBag:
    """Votes on the rows of a shard by the members that did not learn from them.

    Attributes
    ----------
    y : ndarray of shape (n,)
    weight : ndarray of float64, shape (n,)
    votes : ndarray of float64, shape (n, n_classes)
    errors : list of float
        Out-of-bag error of the first 1, 2, … members together.
    smooth : float
        Exponential moving average of the error over the sequence, as in Breiman.
    """

    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64]
    votes: npt.NDArray[np.float64]
    errors: list[float] = field(default_factory=list)
    smooth: float = math.nan

    def add(self, codes: npt.NDArray[np.int32], rows: npt.NDArray[np.int64]) -> None:
        """Add the predictions of a member that learnt from `rows`."""
        outside = np.ones(len(self.y), bool)
        outside[rows] = False
        voters = np.flatnonzero(outside)
        self.votes[voters, codes[voters]] += 1.0
        has_votes = self.has_votes
        weight = self.weight[has_votes].sum()
        error = float(self.weight[has_votes & self.wrong].sum() / weight) if weight else 0.0
        self.errors.append(error)
        before = error if math.isnan(self.smooth) else self.smooth
        self.smooth = _MEMORY * before + (1 - _MEMORY) * error

    @property
    def has_votes(self) -> npt.NDArray[np.bool_]:
        """Rows with at least one vote."""
        return np.asarray(self.votes.any(axis=1))

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Rows that the vote predicts wrongly; rows without a vote do not count."""
        found: npt.NDArray[np.bool_] = self.has_votes & (self.votes.argmax(axis=1) != self.y)
        return found

    def chances(self) -> npt.NDArray[np.float64]:
        """Return the probability that a row is accepted into the next bite: 1 for wrong ones."""
        # If no row is wrong any more, an error of one row keeps the bites from running empty.
        error = min(max(self.smooth, 1.0 / len(self.y)), 0.5)
        return np.where(self.wrong, 1.0, error / (1.0 - error)) * self.weight


@dataclass(frozen=True)
class BiteSequence(MemberMaker):
    """Fits the sequence of members of one shard, inside a task; see also `MemberMaker`.

    A task that is run again loads the committed members, lets them vote, and goes on with the first
    missing one.

    Attributes
    ----------
    members : tuple of int
        Largest number of members of each shard; numbers continue from shard to shard.
    size : int
        Rows of a bite.
    important : bool
        Whether bites prefer rows that the vote gets wrong (IVotes), or are random (RVotes).
    tol : float
        Smallest decrease of the averaged out-of-bag error that counts.
    patience : int
        Members without such a decrease before the sequence stops.
    """

    members: tuple[int, ...]
    size: int
    important: bool
    tol: float
    patience: int

    def __call__(self, shard: int) -> dict[str, Any]:
        """Fit the members of a shard.

        Returns
        -------
        dict
            ``members`` (their numbers), ``errors`` (out-of-bag error of the first 1, 2, … of them)
            and ``rows`` (of the shard).
        """
        with PeakMemory() as memory:
            traits = self.traits
            block = self.data.read_block(shard, dtype=np.dtype(traits.dtype))
            X = as_learner_takes(block.X, traits)
            weight = np.ones(len(block)) if block.weight is None else block.weight
            weight = weight.astype(np.float64)
            if not weight.sum() > 0:
                raise DataError("weight_zero", f"All rows of shard {shard} have weight 0.")
            bag = OutOfBag(block.y, weight, np.zeros((len(block), self.n_classes)))
            size = max(1, min(self.size, int(len(block) * _LARGEST_BITE)))
            committed = committed_members(self.folder)
            first, best, idle = sum(self.members[:shard]), math.inf, 0
            for number in range(first, first + self.members[shard]):
                chance = bag.chances() if self.important and bag.errors else weight
                rows = bite(block.key, chance, size, self.seed, number)
                if number in committed:
                    member = self.load_member(committed[number])
                else:
                    member = self.fit(
                        number,
                        [shard],
                        X[rows],
                        block.y[rows],
                        None,
                        key=block.key[rows],
                        rows=len(block),
                        memory=memory,
                    )
                bag.add(self.predict(member, number, [shard], X), rows)
                if best - bag.smooth > self.tol:
                    best, idle = bag.smooth, 0
                else:
                    idle += 1
                    if idle >= self.patience:
                        break
        numbers = list(range(first, first + len(bag.errors)))
        return {"members": numbers, "errors": bag.errors, "rows": len(block)}
