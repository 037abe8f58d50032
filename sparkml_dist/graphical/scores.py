"""Scores of a network by its families, in natural logarithms; larger is better.

Each is a sum over variables of a term that depends on the counts of the variable and its parents
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.graphical.counting.family_counts import FamilyCounts

__all__ = ["SCORES", "Score", "ScoreName", "check_score", "mutual_information"]

ScoreName = Literal["bic", "aic", "bdeu", "k2", "loglik"]
SCORES: tuple[str, ...] = get_args(ScoreName)

Floats = npt.NDArray[np.float64]


def check_score(name: str, sample_size: float) -> None:
    """Raise unless a score exists.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if name not in SCORES:
        raise ConfigurationError(
            "invalid_param",
            f"score must be one of {', '.join(SCORES)}. Got {name!r}.{nearest(name, SCORES)}",
        )
    if not (math.isfinite(sample_size) and sample_size > 0):
        raise ConfigurationError(
            "invalid_param", f"equivalentSampleSize must be positive. Got {sample_size!r}."
        )


@dataclass(frozen=True)
class Score:
    """A score of families.

    Attributes
    ----------
    name : {"bic", "aic", "bdeu", "k2", "loglik"}
        The log-likelihood minus half the logarithm of the number of rows for each parameter
        (Schwarz 1978); minus one for each (Akaike 1974); the logarithm of the marginal likelihood
        under Dirichlet priors whose weights are uniform over the cells of a family and sum to
        `sample_size` (Heckerman, Geiger and Chickering 1995), or are 1 each (Cooper and Herskovits
        1992); the log-likelihood.
    rows : int
    sample_size : float, default=10
        Equivalent sample size of BDeu.
    """

    name: ScoreName
    rows: int
    sample_size: float = 10.0

    @property
    def bayesian(self) -> bool:
        """Whether the score is a marginal likelihood."""
        return self.name in ("bdeu", "k2")

    def penalty(self, parameters: npt.ArrayLike) -> Floats:
        """Return what is subtracted from the log-likelihood for a number of parameters."""
        each = {"bic": 0.5 * math.log(max(self.rows, 1)), "aic": 1.0, "loglik": 0.0}[self.name]
        return each * np.asarray(parameters, np.float64)

    def family(self, counts: npt.NDArray[np.int64]) -> float:
        """Return the score of one family.

        Parameters
        ----------
        counts : ndarray of int64, shape (r, q)
            Of the child's states and the parents' configurations.
        """
        r, q = counts.shape
        parents = counts.sum(axis=0)
        if not self.bayesian:
            fit = float(_n_log_n(counts).sum() - _n_log_n(parents).sum())
            return fit - float(self.penalty((r - 1) * q))
        cell = 1.0 if self.name == "k2" else self.sample_size / (r * q)
        configuration = float(r) if self.name == "k2" else self.sample_size / q
        return float(
            (gammaln(counts + cell) - gammaln(cell)).sum()
            - (gammaln(parents + configuration) - gammaln(configuration)).sum()
        )

    def families(
        self,
        counts: npt.NDArray[np.int64],
        r: int,
        cards: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
    ) -> Floats:
        """Return the scores of families that differ in one more parent.

        Parameters
        ----------
        counts : ndarray of int64, shape (r, q, S)
            Of the child's states, the configurations of the parents, and all states of the
            variables that may be one more parent.
        r : int
            Number of the child's states.
        cards, offsets : ndarray of int64
            Of these variables.

        Returns
        -------
        ndarray of shape (d,)
        """
        q = counts.shape[1]
        starts = offsets[:-1]
        parents = counts.sum(axis=0)
        if not self.bayesian:
            by_state = _n_log_n(counts).sum(axis=(0, 1)) - _n_log_n(parents).sum(axis=0)
            fit = np.add.reduceat(by_state, starts)
            return np.asarray(fit - self.penalty((r - 1) * q * cards), np.float64)
        if self.name == "k2":
            cell: Floats = np.ones(len(cards))
            configuration: Floats = np.full(len(cards), float(r))
        else:
            cell = self.sample_size / (r * q * cards)
            configuration = self.sample_size / (q * cards)
        a, b = np.repeat(cell, cards), np.repeat(configuration, cards)
        by_state = (gammaln(counts + a) - gammaln(a)).sum(axis=(0, 1))
        by_state -= (gammaln(parents + b) - gammaln(b)).sum(axis=0)
        return np.asarray(np.add.reduceat(by_state, starts), np.float64)

    def network(self, counts: FamilyCounts, parents: Sequence[Sequence[int]]) -> float:
        """Return the score of a network; families that are not known are counted."""
        families = [(child, *of) for child, of in enumerate(parents)]
        tables = counts.tables(families)
        return math.fsum(
            self.family(child_first(table, child, of))
            for (child, of), table in zip(enumerate(parents), tables, strict=True)
        )


def child_first(
    table: npt.NDArray[np.int64], child: int, parents: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Return the table of a family, axes ascending, as (child's states, configurations)."""
    at = sorted((child, *parents)).index(child)
    # In one order in memory, so that sums do not depend on how the table was counted.
    return np.ascontiguousarray(np.moveaxis(table, at, 0).reshape(table.shape[at], -1))


def _n_log_n(counts: npt.NDArray[np.int64]) -> Floats:
    values = counts.astype(np.float64)
    logs = np.zeros_like(values)
    np.log(values, out=logs, where=values > 0)
    return np.asarray(values * logs, np.float64)


def mutual_information(counts: FamilyCounts) -> Floats:
    """Return the mutual information of all pairs of variables in nats, shape (d, d).

    All pairs must have been counted.
    """
    offsets, d = counts.variables.offsets, len(counts.variables)
    found = np.zeros((d, d))
    for v in range(d):
        block = counts.base((v,)).astype(np.float64)
        mine = np.add.reduceat(block, offsets[:-1], axis=1)  # rows of v's state, y being known
        each = np.repeat(mine, counts.variables.cards, axis=1)
        total = np.repeat(mine.sum(axis=0), counts.variables.cards)
        theirs = block.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(block > 0, block * np.log(block * total / (each * theirs)), 0.0)
            found[v] = np.add.reduceat((terms / total).sum(axis=0), offsets[:-1])
    found = np.where(np.isfinite(found), np.maximum(found, 0.0), 0.0)
    np.fill_diagonal(found, 0.0)
    return np.triu(found, 1) + np.triu(found, 1).T
