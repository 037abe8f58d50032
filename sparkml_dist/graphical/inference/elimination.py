"""Variable elimination, for one case of evidence or for many rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.inference.factor import Factor, elimination_order, product
from sparkml_dist.graphical.network import Network

__all__ = ["eliminated", "evidence_factors", "impossible_evidence", "query", "relevant"]

Floats = npt.NDArray[np.float64]


def query(
    network: Network, targets: Sequence[str], evidence: Mapping[str, object] | None = None
) -> Floats:
    """Return the joint distribution of variables, given the states of others.

    Parameters
    ----------
    network : Network
    targets : sequence of str
        Variables that are no evidence.
    evidence : mapping of str to state, optional

    Returns
    -------
    ndarray
        An axis for each target, in their order.

    Raises
    ------
    ConfigurationError
        ``unknown_variable``, ``column_twice``.
    DataError
        ``unknown_state``; ``impossible_evidence`` where its probability is 0; ``too_many_cells``.
    """
    known = network.codes(evidence)
    wanted = [network.variables.index(name, "target") for name in targets]
    check_targets(network, wanted, known)
    factors = evidence_factors(network, known, relevant(network, [*wanted, *known]))
    found, _ = eliminated(factors, wanted, network.variables.cards)
    values = found.aligned(wanted)[0]
    total = float(values.sum())
    if not total > 0:
        raise impossible_evidence(network, known)
    return np.asarray(values / total, np.float64)


def check_targets(network: Network, wanted: Sequence[int], known: Mapping[int, int]) -> None:
    """Raise where a variable is asked for twice, or is evidence."""
    for i, v in enumerate(wanted):
        if v in wanted[:i] or v in known:
            raise ConfigurationError(
                "column_twice",
                f"{network.names[v]!r} is a target twice, or both target and evidence.",
                "Name each variable once.",
            )


def relevant(network: Network, variables: Sequence[int]) -> set[int]:
    """Return variables and their ancestors: all others sum to 1."""
    found: set[int] = set()
    todo = list(variables)
    while todo:
        v = todo.pop()
        if v not in found:
            found.add(v)
            todo.extend(network.parents[v])
    return found


def evidence_factors(
    network: Network, known: Mapping[int, int], variables: set[int] | None = None
) -> list[Factor]:
    """Return the tables of variables, reduced to the evidence."""
    found = []
    for v in sorted(range(len(network.names)) if variables is None else variables):
        factor = Factor(network.family(v), network.tables[v][None])
        for w, state in known.items():
            factor = factor.given(w, state)
        found.append(factor)
    return found


def eliminated(
    factors: Sequence[Factor],
    keep: Sequence[int],
    cards: npt.NDArray[np.int64],
    *,
    order: Sequence[int] | None = None,
) -> tuple[Factor, Floats]:
    """Return the product of factors, summed over all but some variables.

    Parameters
    ----------
    factors : sequence of Factor
    keep : sequence of int
    cards : ndarray of int64
    order : sequence of int, optional
        Of elimination; found here by default.

    Returns
    -------
    Factor
        Its greatest value in each case is 1, unless all are 0.
    ndarray of shape (n,) or (1,)
        Logarithms of what the factors were divided by.
    """
    left = list(factors)
    if order is None:
        over = {v for f in left for v in f.over}
        order = elimination_order([f.over for f in left], over - set(keep), cards)
    scale: Floats = np.zeros(1)
    for v in order:
        near = [f for f in left if v in f.over]
        left = [f for f in left if v not in f.over]
        joined, more = _scaled(product(near, cards).without(v))
        scale = scale + more
        left.append(joined)
    found, more = _scaled(product(left, cards))
    return found, scale + more


def _scaled(factor: Factor) -> tuple[Factor, Floats]:
    values = factor.values
    most = values.reshape(len(values), -1).max(axis=1)
    by = np.where(most > 0, most, 1.0)
    return Factor(factor.over, values / by.reshape(-1, *(1,) * (values.ndim - 1))), np.log(by)


def impossible_evidence(network: Network, known: Mapping[int, Any]) -> DataError:
    """Return the error of evidence whose probability is 0."""
    shown = ", ".join(
        f"{network.names[v]}={network.variables[v].states[s]}" for v, s in list(known.items())[:8]
    )
    return DataError(
        "impossible_evidence",
        f"The probability of the evidence is 0: {shown}.",
        "Correct the evidence, or fit the network with a prior, so that nothing is impossible.",
    )
