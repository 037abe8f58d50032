"""Parameters from rows with missing values: expectation and maximization by turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.inference.row_inference import (
    log_likelihoods,
    patterns,
    posterior,
)
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.parameters import Prior, table_of

__all__ = ["Fit", "expectation_maximization", "expected_counts"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Result of EM.

    Attributes
    ----------
    network : Network
    log_likelihoods : tuple of float
        Of the observed values, before each step and after the last.
    converged : bool
    """

    network: Network
    log_likelihoods: tuple[float, ...]
    converged: bool


def expectation_maximization(
    rows: CodedRows, start: Network, prior: Prior, *, max_iter: int = 100, tol: float = 1e-6
) -> Fit:
    """Fit the parameters of a graph to rows with missing values.

    Parameters
    ----------
    rows : CodedRows
    start : Network
        With parameters to start from, none of which is 0 where it should not stay so.
    prior : Prior
    max_iter : int, default=100
    tol : float, default=1e-6
        Ends when the log-likelihood rises by less than this share of itself.

    Returns
    -------
    Fit

    References
    ----------
    Dempster, Laird, Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm",
    JRSS B 39. Lauritzen (1995), "The EM algorithm for graphical association models with missing
    data", Computational Statistics and Data Analysis 19.
    """
    network = start
    history: list[float] = []
    converged = False
    for step in range(max_iter + 1):
        found = rows.sum(expected_counts, (network,), description=f"expectation {step + 1}")
        history.append(float(found["log_likelihood"]))
        if step and history[-1] - history[-2] <= tol * max(1.0, abs(history[-2])):
            converged = True
            break
        if step == max_iter:
            break
        tables = tuple(table_of(found[str(v)], prior) for v in range(len(network.names)))
        network = Network(network.variables, network.parents, tables)
    return Fit(network, tuple(history), converged)


def expected_counts(codes: Codes, network: Network) -> Arrays:
    """Return the expected counts of each family, given the observed values of rows.

    Parameters
    ----------
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing.
    network : Network

    Returns
    -------
    dict of ndarray
        ``log_likelihood`` and ``rows``, and for each variable, by its position, counts of the shape
        of its table.
    """
    rows, weights = np.unique(codes, axis=0, return_counts=True)
    found: Arrays = {str(v): np.zeros(t.shape) for v, t in enumerate(network.tables)}
    logs = log_likelihoods(network, rows)
    found["log_likelihood"] = np.array(float(weights @ logs) if len(rows) else 0.0)
    found["rows"] = np.array(len(codes), np.int64)
    for pattern in patterns(rows):
        part, weight = rows[pattern.rows], weights[pattern.rows].astype(np.float64)
        for v in range(len(network.names)):
            _add_family(found[str(v)], network, v, part, weight, set(pattern.missing))
    return found


def _add_family(
    into: Floats, network: Network, v: int, rows: Codes, weight: Floats, missing: set[int]
) -> None:
    family = network.family(v)
    unknown = tuple(w for w in family if w in missing)
    seen = [w for w in family if w not in missing]
    cards = network.variables.cards
    size = int(np.prod([cards[w] for w in seen], dtype=np.int64))
    cell = np.zeros(len(rows), np.int64)
    for w in seen:
        cell = cell * int(cards[w]) + rows[:, w]
    if unknown:
        shares = np.nan_to_num(posterior(network, rows, unknown)).reshape(len(rows), -1)
    else:
        shares = np.ones((len(rows), 1))
    sums = np.stack(
        [np.bincount(cell, weight * column, minlength=size) for column in shares.T], axis=1
    )
    shape = [int(cards[w]) for w in (*seen, *unknown)]
    axes = [(*seen, *unknown).index(w) for w in family]
    into += sums.reshape(shape).transpose(axes)
