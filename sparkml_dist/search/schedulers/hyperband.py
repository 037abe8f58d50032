"""Hyperband: brackets of successive halving, from many small trials to a few full ones."""

from __future__ import annotations

import math

from sparkml_dist.search.schedulers.bracket import Bracket
from sparkml_dist.search.schedulers.rungs import rung_resources
from sparkml_dist.search.schedulers.scheduler import Run, Scheduler

__all__ = ["Hyperband", "bracket_starts"]


class Hyperband(Scheduler):
    """Runs brackets of successive halving that begin at higher and higher rungs.

    The first bracket starts many trials at the lowest rung, the last one a few with all of the
    resource: what is lost if losses at low rungs mislead is bounded. While a bracket waits for
    the results of a rung, the next bracket begins.

    Parameters
    ----------
    num_trials : int or None
        Number of trials in all brackets together. With as many as the brackets of the paper
        have, or None, these run once; with more they run again; with fewer each bracket is
        smaller in proportion.
    least, most : int
        Resource of the lowest rung and of the highest one.
    factor : float, default=3
        Reduction factor η.

    References
    ----------
    Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2018), "Hyperband: a novel bandit-based
    approach to hyperparameter optimization", JMLR 18(185), algorithm 1.
    """

    def __init__(self, num_trials: int | None, least: int, most: int, factor: float = 3) -> None:
        super().__init__(rung_resources(least, most, factor))
        starts = bracket_starts(len(self.resources), factor)
        left = sum(starts) if num_trials is None else num_trials
        self.num_trials = left
        self._brackets: list[Bracket] = []
        while left > 0:
            loop = starts if left >= sum(starts) else _in_proportion(starts, left)
            left -= sum(loop)
            self._brackets += [
                _bracket(n, lowest, len(self.resources), factor)
                for lowest, n in enumerate(loop)
                if n
            ]
        self._of: dict[int, Bracket] = {}

    def _next(self) -> Run | None:
        for bracket in self._brackets:
            found = bracket.next(self.started)
            if found is not None:
                self._of[found[0]] = bracket
                return self._run(*found)
        return None

    def _reported(self, trial: int, rung: int, loss: float) -> None:
        super()._reported(trial, rung, loss)
        self._of[trial].report(trial, loss)

    def brackets(self) -> list[list[int]]:
        """Return the trials that each bracket has started."""
        return [sorted(bracket.trials) for bracket in self._brackets]


def bracket_starts(rungs: int, factor: float = 3) -> list[int]:
    """Return the number of trials that each bracket starts, that of the lowest rung first.

    Parameters
    ----------
    rungs : int
        Number of rungs, s_max + 1; there are as many brackets.
    factor : float, default=3

    Examples
    --------
    >>> from sparkml_dist.search.schedulers.hyperband import bracket_starts
    >>> bracket_starts(5, 3)
    [81, 34, 15, 8, 5]
    """
    return [math.ceil(rungs * factor**s / (s + 1) - 1e-9) for s in reversed(range(rungs))]


def _in_proportion(starts: list[int], total: int) -> list[int]:
    """Divide a number of trials among brackets, the remainders by size, then to the first."""
    exact = [n * total / sum(starts) for n in starts]
    shares = [math.floor(x) for x in exact]
    order = sorted(range(len(starts)), key=lambda i: (shares[i] - exact[i], i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares


def _bracket(starts: int, lowest: int, rungs: int, factor: float) -> Bracket:
    # A bracket that was made smaller still takes its best trial to the highest rung.
    sizes = [max(1, math.floor(starts / factor**k + 1e-9)) for k in range(rungs - lowest)]
    return Bracket(sizes, lowest)
