"""A weighted sample of a shard's rows, prepared before the last member's weight is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.ensemble.adaboost.job import WeightedRows
from sparkml_dist.ensemble.adaboost.samme import boosted
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["Candidates"]

_ROW = np.dtype([("race", "f8"), ("weight", "f8"), ("missed", "?"), ("y", "i4"), ("key", "i8")])


@dataclass(frozen=True)
class Candidates:
    """Rows of a shard that contain the sample for any weight of the last member.

    Each row of weight w gets an arrival time, exponential with rate w; the sample is the rows that
    arrive first (Efraimidis and Spirakis 2006). The member's weight divides the arrival times of
    all rows that it misclassifies by one factor, which keeps their order. The earliest
    misclassified rows and the earliest other rows can therefore be stored before that weight is
    known, and a round's sample needs no further pass over the data.

    Attributes
    ----------
    rows : structured ndarray, shape (m,)
        ``race`` (arrival time), ``weight``, ``missed``, ``y``, ``key``.
    X : ndarray or csr_matrix, shape (m, d)

    References
    ----------
    Efraimidis, Spirakis (2006), "Weighted random sampling with a reservoir". Cohen, Kaplan
    (2007), "Summarizing data using bottom-k sketches".
    """

    rows: npt.NDArray[Any]
    X: Any

    @classmethod
    def of(
        cls,
        block: Block,
        weight: npt.NDArray[np.float64],
        missed: npt.NDArray[np.bool_],
        size: int,
        seed: int,
        index: int,
    ) -> Candidates:
        """Store the candidates for a sample of up to `size` rows.

        Parameters
        ----------
        block : Block
        weight : ndarray of shape (n,)
            Rows of weight 0 are never drawn.
        missed : ndarray of bool, shape (n,)
            Misclassified rows, whose weight is going to grow by one factor.
        size, seed, index : int
            `index` gives different rounds different draws.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            race = -np.log1p(-uniform(block.key, seed, "boosting sample", index)) / weight
        chosen = []
        for group in (missed, ~missed):
            there = np.flatnonzero(group & (weight > 0))
            # One more than the sample: the inclusion probabilities depend on the first row left
            # out.
            chosen.append(there[np.argsort(race[there], kind="stable")[: size + 1]])
        at = np.sort(np.concatenate(chosen))
        rows = np.empty(len(at), _ROW)
        rows["race"], rows["weight"], rows["missed"] = race[at], weight[at], missed[at]
        rows["y"], rows["key"] = block.y[at], block.key[at]
        return cls(rows, block.X[at])

    def drawn(self, size: int, vote_weight: float) -> WeightedRows:
        """Return the sample, weighted so that it represents the shard.

        Parameters
        ----------
        size : int
            The `size` that the candidates were stored for.
        vote_weight : float
            The last member's weight in the vote.

        Returns
        -------
        WeightedRows
            All rows with their own weights if there are at most `size`. Otherwise each row's weight
            is divided by its inclusion probability, so that weighted sums are unbiased.
        """
        rows = self.rows
        weight = boosted(rows["weight"], vote_weight, rows["missed"])
        if len(rows) <= size:
            return WeightedRows(self.X, rows["y"], weight, rows["key"])
        race = np.where(rows["missed"], rows["race"] / np.exp(vote_weight), rows["race"])
        order = np.argsort(race, kind="stable")
        last = race[order[size]]
        at = np.sort(order[:size])
        standing = weight[at] / -np.expm1(-weight[at] * last)
        return WeightedRows(self.X[at], rows["y"][at], standing, rows["key"][at])

    def write(self, folder: Folder, stem: str) -> None:
        """Write the rows to files in a folder, with names that begin with `stem`."""
        write_array(folder, f"{stem}-rows.npy", self.rows)
        if sp.issparse(self.X):
            for part in ("data", "indices", "indptr"):
                write_array(folder, f"{stem}-{part}.npy", getattr(self.X, part))
        else:
            write_array(folder, f"{stem}-X.npy", self.X)

    @classmethod
    def read(cls, folder: Folder, stem: str, n_features: int) -> Candidates:
        """Return the candidates that `write` stored."""
        rows = read_array(folder, f"{stem}-rows.npy")
        if folder.exists(f"{stem}-X.npy"):
            return cls(rows, read_array(folder, f"{stem}-X.npy", rows=len(rows)))
        parts = [read_array(folder, f"{stem}-{p}.npy") for p in ("data", "indices", "indptr")]
        return cls(rows, sp.csr_matrix(tuple(parts), shape=(len(rows), n_features)))
