"""The most probable explanation: the likeliest states of all other variables together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.graphical.inference.elimination import evidence_factors, impossible_evidence
from sparkml_dist.graphical.inference.factor import Factor, elimination_order, product
from sparkml_dist.graphical.network import Network

__all__ = ["most_probable"]


def most_probable(
    network: Network, evidence: Mapping[str, object] | None = None
) -> tuple[dict[str, str], float]:
    """Return the most probable states of all variables, given some.

    Parameters
    ----------
    network : Network
    evidence : mapping of str to state, optional

    Returns
    -------
    states : dict of str to str
        Of every variable; of equally probable ones those with the least codes where they are
        chosen.
    log_probability : float
        Logarithm of the joint probability of these states.

    Raises
    ------
    ConfigurationError
        ``unknown_variable``.
    DataError
        ``unknown_state``, ``impossible_evidence``, ``too_many_cells``.
    """
    known, cards = network.codes(evidence), network.variables.cards
    left = evidence_factors(network, known)
    free = [v for v in range(len(network.names)) if v not in known]
    scale = 0.0
    steps: list[tuple[int, Factor]] = []
    for v in elimination_order([f.over for f in left], free, cards):
        joined = product([f for f in left if v in f.over], cards)
        steps.append((v, joined))
        message = joined.without(v, most=True)
        most = float(message.values.max())
        if not most > 0:
            raise impossible_evidence(network, known)
        scale += float(np.log(most))
        left = [f for f in left if v not in f.over]
        left.append(Factor(message.over, message.values / most))
    rest = float(np.prod([f.values for f in left]))
    if not rest > 0:
        raise impossible_evidence(network, known)
    chosen = dict(known)
    for v, factor in reversed(steps):
        for w in factor.over:
            if w != v:
                factor = factor.given(w, chosen[w])
        chosen[v] = int(factor.values[0].argmax())
    states = {name: network.variables[v].states[chosen[v]] for v, name in enumerate(network.names)}
    return states, scale + float(np.log(rest))
