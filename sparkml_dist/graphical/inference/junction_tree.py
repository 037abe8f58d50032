"""A junction tree: the distributions of all variables from one evidence at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.inference.elimination import evidence_factors, impossible_evidence
from sparkml_dist.graphical.inference.factor import Factor, elimination_order, product
from sparkml_dist.graphical.network import Network

__all__ = ["Beliefs", "JunctionTree"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Beliefs:
    """The distributions of all variables, given evidence.

    Attributes
    ----------
    marginals : dict of str to ndarray
        Of each variable, shape (r,).
    log_probability : float
        Of the evidence.
    """

    marginals: dict[str, Floats]
    log_probability: float


class JunctionTree:
    """Cliques of variables in a tree along which messages are passed twice.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    cliques : list of tuple of int
        Variables of each clique; each but the first has a parent among those before it.

    Raises
    ------
    DataError
        ``too_many_cells``.

    References
    ----------
    Lauritzen, Spiegelhalter (1988), "Local computations with probabilities on graphical structures
    and their application to expert systems", JRSS B 50.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        cards = network.variables.cards
        scopes = [network.family(v) for v in range(len(network.names))]
        order = elimination_order(scopes, range(len(scopes)), cards)
        self.cliques, self._above = _tree(scopes, order)
        self._home = [
            next(i for i, c in enumerate(self.cliques) if set(scope) <= set(c)) for scope in scopes
        ]

    @property
    def width(self) -> int:
        """Number of variables of the largest clique, less one."""
        return max((len(c) for c in self.cliques), default=1) - 1

    def beliefs(self, evidence: Mapping[str, object] | None = None) -> Beliefs:
        """Return the distribution of each variable, given evidence.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``.
        DataError
            ``unknown_state``, ``impossible_evidence``.
        """
        network = self.network
        known, cards = network.codes(evidence), network.variables.cards
        mine: list[list[Factor]] = [[] for _ in self.cliques]
        for home, factor in zip(self._home, evidence_factors(network, known), strict=True):
            mine[home].append(factor)
        scopes = [tuple(v for v in c if v not in known) for c in self.cliques]
        ones = [Factor(s, np.ones([1, *(int(cards[v]) for v in s)])) for s in scopes]
        tables = [product([one, *fs], cards) for one, fs in zip(ones, mine, strict=True)]
        scale = 0.0
        up: list[Factor] = []  # from the last clique on
        for i in range(len(tables) - 1, 0, -1):
            above = self._above[i]
            shared = set(scopes[i]) & set(scopes[above])
            message = tables[i]
            for v in scopes[i]:
                if v not in shared:
                    message = message.without(v)
            most = float(message.values.max())
            if not most > 0:
                raise impossible_evidence(network, known)
            scale += float(np.log(most))
            message = Factor(message.over, message.values / most)
            up.append(message)
            tables[above] = product([tables[above], message], cards)
        total = float(tables[0].values.sum()) if tables else 1.0
        if not total > 0:
            raise impossible_evidence(network, known)
        for i in range(1, len(tables)):
            above, message = self._above[i], up[-i]
            down = tables[above]
            for v in scopes[above]:
                if v not in message.over:
                    down = down.without(v)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(
                    message.aligned(message.over) > 0,
                    down.aligned(message.over) / message.aligned(message.over),
                    0.0,
                )
            table = product([tables[i], Factor(message.over, ratio)], cards)
            tables[i] = Factor(table.over, table.values / table.values.max())
        return Beliefs(self._marginals(tables, known), scale + float(np.log(total)))

    def _marginals(self, tables: list[Factor], known: Mapping[int, int]) -> dict[str, Floats]:
        found = {}
        for v, name in enumerate(self.network.names):
            if v in known:
                found[name] = np.eye(int(self.network.variables.cards[v]))[known[v]]
                continue
            table = tables[self._home[v]]
            for w in table.over:
                if w != v:
                    table = table.without(w)
            found[name] = table.values[0] / table.values.sum()
        return found


def _tree(
    scopes: list[tuple[int, ...]], order: list[int]
) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return the cliques of an elimination, and the position of each one's parent."""
    beside: list[set[int]] = [set() for _ in scopes]
    for scope in scopes:
        for v in scope:
            beside[v] |= set(scope) - {v}
    cliques: list[tuple[int, ...]] = []
    for v in order:
        near = beside[v]
        clique = {v, *near}
        if not any(clique <= set(c) for c in cliques):
            cliques.append(tuple(sorted(clique)))
        for a in near:
            beside[a] |= near - {a}
            beside[a].discard(v)
    cliques.reverse()
    # Those that come first were eliminated last; each shares most with one before it.
    above = [0] * len(cliques)
    joined: list[int] = [0] if cliques else []
    placed = [0]
    left = list(range(1, len(cliques)))
    while left:
        shared, child, parent = max(
            (len(set(cliques[i]) & set(cliques[j])), -i, -j) for i in left for j in placed
        )
        del shared
        left.remove(-child)
        placed.append(-child)
        above[-child] = -parent
        joined.append(-child)
    place = {old: new for new, old in enumerate(joined)}
    return [cliques[i] for i in joined], [place[above[i]] for i in joined]
