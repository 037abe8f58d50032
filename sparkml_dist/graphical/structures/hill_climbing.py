"""Greedy search for a graph by single arcs: hill climbing with a tabu list and restarts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.graph import Parents, acyclic_order, ancestors
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.graph_scores import GraphScores
from sparkml_dist.graphical.structures.order_search import order_search

__all__ = ["Climb", "hill_climbing"]

# Gains below this are rounding.
_LEAST_GAIN = 1e-6
_DIGITS = 6
_MOST_STEPS = 100_000
# Of so many restarts one also changes the graph, and the others its arcs' directions only.
_TURNS = 5
_ROUNDS_OF_TURNS = 10

Floats = npt.NDArray[np.float64]
Move = tuple[str, int, int]


@dataclass(frozen=True)
class Climb:
    """Result of a search.

    Attributes
    ----------
    parents : tuple of tuple of int
    score : float
    steps : int
        Number of changes of an arc, over all restarts.
    families : int
        Number of families that were scored.
    """

    parents: Parents
    score: float
    steps: int
    families: int


def hill_climbing(
    scores: GraphScores,
    limits: ArcLimits,
    *,
    start: Parents | None = None,
    tabu: int = 0,
    restarts: int = 0,
    seed: int = 0,
) -> Climb:
    """Change the arc that raises the score most, until none does.

    An arc is added, removed or reversed. With a tabu list, the search goes on with the best change
    that leads to a graph that it has not lately visited, even where the score falls, until that
    many changes in a row found no better graph than the best (Glover 1986).

    A restart takes an order of the variables in which parents come before children in the best
    graph so far, or in one with the same independences, and at times in one with some arcs changed
    at random; it improves the order (see `order_search`) and climbs again from the graph of that.

    Parameters
    ----------
    scores : GraphScores
    limits : ArcLimits
    start : tuple of tuple of int, optional
        Graph to start from; by default that of the required arcs.
    tabu : int, default=0
        Length of the tabu list.
    restarts : int, default=0
    seed : int, default=0
        Of the random changes.

    Returns
    -------
    Climb

    Notes
    -----
    Families that are not counted yet have guessed scores. The search runs to its end by those, what
    it asked for is counted in one pass, and it runs again, until no score was a guess: its steps
    are then those of a search that knows all counts.
    """
    first = limits.start() if start is None else start
    while True:
        found = _climb(scores, limits, first, tabu, restarts, seed)
        if not scores.wanted:
            break
        scores.count_wanted()
    best, steps = found
    return Climb(best, scores.total(best), steps, scores.evaluated)


def _climb(
    scores: GraphScores, limits: ArcLimits, start: Parents, tabu: int, restarts: int, seed: int
) -> tuple[Parents, int]:
    """Search once; return the best graph and the number of steps."""
    rng = np.random.default_rng(seed)
    best, best_score, steps = _search(_State.of(scores, limits, start), tabu)
    for i in range(restarts):
        other = _shaken(best, limits, rng) if i % _TURNS == _TURNS - 1 else best
        if i:
            other = _equivalent(other, limits, rng)
        ordered = order_search(scores, limits, acyclic_order(other, scores.names))
        found, score, more = _search(_State.of(scores, limits, ordered), tabu)
        steps += more
        if score > best_score + _LEAST_GAIN:
            best, best_score = found, score
    return best, steps


@dataclass
class _State:
    """A graph under search, with the change of the score that each change of an arc makes."""

    scores: GraphScores
    limits: ArcLimits
    parents: list[tuple[int, ...]]
    #: Of each child without its parents' change: score, and gains of one more or less parent.
    mine: Floats
    add: Floats
    drop: Floats
    stale: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, scores: GraphScores, limits: ArcLimits, parents: Parents) -> _State:
        d = len(parents)
        blank = np.full((d, d), -np.inf)
        return cls(scores, limits, list(parents), np.zeros(d), blank, blank.copy(), set(range(d)))

    def refresh(self) -> None:
        """Score the families around children whose parents have changed."""
        for child in sorted(self.stale):
            of = self.parents[child]
            mine = self.scores.family(child, of)
            self.mine[child] = mine
            self.add[:, child] = self.drop[:, child] = -np.inf
            for i, parent in enumerate(of):
                rest = (*of[:i], *of[i + 1 :])
                self.drop[parent, child] = self.scores.family(child, rest) - mine
            if len(of) < self.limits.most_parents:
                self.add[:, child] = self.scores.additions(child, of) - mine
        self.stale = set()

    def moves(self) -> tuple[Floats, Floats, Floats]:
        """Return the gains of adding, removing and reversing each arc; -inf where not allowed."""
        d = len(self.parents)
        before = ancestors(self.parents)
        present = np.zeros((d, d), bool)
        for child, of in enumerate(self.parents):
            present[list(of), child] = True
        full = np.array([len(of) >= self.limits.most_parents for of in self.parents])
        no_room = present | present.T | self.limits.forbidden | before.T | full[None, :]
        np.fill_diagonal(no_room, True)
        add = np.where(no_room, -np.inf, self.add)
        drop = np.where(present & ~self.limits.required, self.drop, -np.inf)
        # a → b may become b → a unless another path leads from a to b.
        longer = (before.astype(np.float32) @ present.astype(np.float32)) > 0
        fixed = ~present | self.limits.required | self.limits.forbidden.T | longer | full[:, None]
        turn = np.where(fixed, -np.inf, self.drop + self.add.T)
        return add, drop, turn

    def best(self, visited: set[Parents]) -> tuple[float, Move] | None:
        """Return the best change that leads to a graph that is not among those visited."""
        gains = np.stack(self.moves())
        gains[np.isnan(gains)] = -np.inf
        # Equal gains, as of an arc and its reversal, must not be told apart by their rounding.
        flat = np.round(gains, _DIGITS).ravel()
        while True:
            at = int(flat.argmax())
            if flat[at] == -np.inf:
                return None
            kind, parent, child = (int(i) for i in np.unravel_index(at, gains.shape))
            move = (("add", "drop", "turn")[kind], parent, child)
            if not visited or self.after(move) not in visited:
                return float(gains.ravel()[at]), move
            flat[at] = -np.inf

    def after(self, move: Move) -> Parents:
        """Return the graph after a change."""
        kind, parent, child = move
        found = list(self.parents)
        if kind == "add":
            found[child] = tuple(sorted((*found[child], parent)))
        else:
            found[child] = tuple(p for p in found[child] if p != parent)
            if kind == "turn":
                found[parent] = tuple(sorted((*found[parent], child)))
        return tuple(found)

    def apply(self, move: Move) -> None:
        """Make a change."""
        self.parents = list(self.after(move))
        self.stale.add(move[2])
        if move[0] == "turn":
            self.stale.add(move[1])


def _search(state: _State, tabu: int) -> tuple[Parents, float, int]:
    """Climb from a state; return the best graph, its score up to a constant, and the steps."""
    state.refresh()
    score = best_score = float(state.mine.sum())
    best: Parents = tuple(state.parents)
    recent: list[Parents] = [best] if tabu else []
    steps = idle = 0
    while steps < _MOST_STEPS:
        found = state.best(set(recent))
        if found is None:
            break
        gain, move = found
        if gain <= _LEAST_GAIN and not tabu:
            break
        score += gain
        state.apply(move)
        state.refresh()
        steps += 1
        if tabu:
            recent = [*recent[-(tabu - 1) :], tuple(state.parents)] if tabu > 1 else [best]
        if score > best_score + _LEAST_GAIN:
            best, best_score, idle = tuple(state.parents), score, 0
        else:
            idle += 1
            if idle >= tabu:
                break
    return best, best_score, steps


def _equivalent(parents: Parents, limits: ArcLimits, rng: np.random.Generator) -> Parents:
    """Return a random graph with the same independences: covered arcs are reversed.

    An arc from a to b is covered where the other parents of b are the parents of a (Chickering
    1995). Single changes of an arc that raise the score of one graph may lower that of another.
    """
    found = [set(p) for p in parents]
    arcs = [(a, b) for b, of in enumerate(found) for a in of]
    for _ in range(_ROUNDS_OF_TURNS):
        rng.shuffle(arcs)
        for i, (a, b) in enumerate(arcs):
            fixed = limits.required[a, b] or limits.forbidden[b, a]
            if fixed or found[b] - {a} != found[a] or len(found[a]) >= limits.most_parents:
                continue
            if rng.random() < 0.5:
                found[b].discard(a)
                found[a].add(b)
                arcs[i] = (b, a)
    return tuple(tuple(sorted(p)) for p in found)


def _shaken(parents: Parents, limits: ArcLimits, rng: np.random.Generator) -> Parents:
    """Return a graph with some arcs removed, reversed or added at random."""
    found = [set(p) for p in parents]
    d = len(found)
    for _ in range(max(3, d // 4)):
        a, b = (int(v) for v in rng.choice(d, 2, replace=False))
        if a in found[b]:
            if limits.required[a, b]:
                continue
            found[b].discard(a)
            if rng.random() < 0.5:
                continue
            a, b = b, a
        elif b in found[a]:
            continue
        before = ancestors(found)
        room = len(found[b]) < limits.most_parents
        if room and not before[b, a] and not limits.forbidden[a, b]:
            found[b].add(a)
    return tuple(tuple(sorted(p)) for p in found)
