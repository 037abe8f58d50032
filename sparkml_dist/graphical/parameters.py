"""Probability tables from counts: maximum likelihood, and with Dirichlet priors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.network import Network

__all__ = ["PRIORS", "Prior", "PriorName", "fitted_network", "table_of"]

PriorName = Literal["none", "bdeu", "k2"]
PRIORS: tuple[str, ...] = get_args(PriorName)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is added to each cell of a family's counts.

    Attributes
    ----------
    name : {"none", "bdeu", "k2"}
        Nothing (maximum likelihood); `size` shared out evenly among the cells of a family; `size`
        in each cell (1 is Laplace's rule, and K2's prior).
    size : float
    """

    name: PriorName = "none"
    size: float = 1.0

    def cell(self, cells: int) -> float:
        """Return what is added to each of a number of cells."""
        return {"none": 0.0, "bdeu": self.size / max(1, cells), "k2": self.size}[self.name]


def table_of(counts: npt.NDArray[np.number], prior: Prior) -> Floats:
    """Return the probabilities of counts whose last axis is the variable's own.

    A configuration of the parents that was not seen, with no prior, has the uniform distribution.
    """
    found = counts.astype(np.float64) + prior.cell(counts.size)
    total = found.sum(axis=-1, keepdims=True)
    uniform = np.full(found.shape, 1.0 / found.shape[-1])
    return np.asarray(np.divide(found, total, out=uniform, where=total > 0), np.float64)


def fitted_network(
    counts: FamilyCounts, parents: Parents, prior: Prior, plain: Sequence[int] = ()
) -> Network:
    """Return a graph with the parameters that fit the counts.

    Parameters
    ----------
    counts : FamilyCounts
        Families that are not known are counted.
    parents : tuple of tuple of int
    prior : Prior
    plain : sequence of int
        Variables without a prior.

    Raises
    ------
    DataError
        ``too_many_cells``.
    """
    tables = counts.tables([(*of, v) for v, of in enumerate(parents)])
    found = []
    for v, (of, table) in enumerate(zip(parents, tables, strict=True)):
        at = sorted((*of, v)).index(v)
        found.append(table_of(np.moveaxis(table, at, -1), Prior() if v in plain else prior))
    return Network(counts.variables, parents, tuple(found))
