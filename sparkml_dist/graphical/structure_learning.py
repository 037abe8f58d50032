"""Chooses and runs a structure learning algorithm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.independence import TESTS, TestName
from sparkml_dist.graphical.scores import Score, ScoreName, check_score
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.bayes_classifiers import naive_bayes, tree_augmented
from sparkml_dist.graphical.structures.chow_liu import chow_liu
from sparkml_dist.graphical.structures.exact_search import check_exact, exact_search
from sparkml_dist.graphical.structures.family_scores import FamilyScores
from sparkml_dist.graphical.structures.hill_climbing import hill_climbing
from sparkml_dist.graphical.structures.pc_stable import pc_stable
from sparkml_dist.graphical.variables import Variable, Variables

__all__ = [
    "STRUCTURES",
    "Learned",
    "StructureName",
    "StructurePlan",
    "learn_structure",
]

StructureName = Literal["chow-liu", "naive-bayes", "tan", "hill-climbing", "pc", "exact", "fixed"]
STRUCTURES: tuple[str, ...] = get_args(StructureName)
CORRECTIONS = ("none", "benjamini-hochberg")


@dataclass(frozen=True)
class StructurePlan:
    """How a structure is learned; see `BayesianNetwork`.

    Attributes
    ----------
    structure : {"chow-liu", "naive-bayes", "tan", "hill-climbing", "pc", "exact", "fixed"}
    score : {"bic", "aic", "bdeu", "k2", "loglik"}
    sample_size : float
    max_parents, tabu, restarts, seed : int
    white, black : sequence of pairs of str, or None
    test : {"x2", "g2", "mi"}
    alpha : float
    correction : {"none", "benjamini-hochberg"}
    target : str or None
        The class, or the root of a tree.
    """

    structure: StructureName = "hill-climbing"
    score: ScoreName = "bic"
    sample_size: float = 10.0
    max_parents: int = 5
    tabu: int = 10
    restarts: int = 1
    seed: int = 0
    white: Sequence[Sequence[str]] | None = None
    black: Sequence[Sequence[str]] | None = None
    test: str = "x2"
    alpha: float = 0.05
    correction: str = "none"
    target: str | None = None

    def check(self, names: Sequence[str] | None = None) -> None:
        """Raise for settings that cannot work.

        Parameters
        ----------
        names : sequence of str, optional
            Of the variables, where they are known.

        Raises
        ------
        ConfigurationError
            ``invalid_param``, ``conflicting_params``, ``option_not_used``, ``cycle``,
            ``unknown_variable``, ``too_many_variables``.
        """
        for name, value, known in (
            ("structure", self.structure, STRUCTURES),
            ("test", self.test, TESTS),
            ("correction", self.correction, CORRECTIONS),
        ):
            if value not in known:
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be one of {', '.join(known)}. Got {value!r}."
                    f"{nearest(value, known)}",
                )
        check_score(self.score, self.sample_size)
        for name, number, least in (
            ("maxParents", self.max_parents, 1),
            ("tabuLength", self.tabu, 0),
            ("numRestarts", self.restarts, 0),
        ):
            if number < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be at least {least}. Got {number}."
                )
        if not (math.isfinite(self.alpha) and 0 < self.alpha < 1):
            raise ConfigurationError(
                "invalid_param", f"alpha must be between 0 and 1. Got {self.alpha!r}."
            )
        if (self.white or self.black) and self.structure in ("chow-liu", "naive-bayes", "tan"):
            raise ConfigurationError(
                "option_not_used",
                f"whiteList and blackList do not go with structure={self.structure!r}.",
                "Use 'hill-climbing', 'exact' or 'pc'.",
            )
        if self.structure in ("naive-bayes", "tan") and self.target is None:
            raise ConfigurationError(
                "invalid_param",
                f"structure={self.structure!r} needs targetCol, the class.",
                "Set targetCol.",
            )
        if names is None:  # the lists alone may have a cycle
            listed = [name for pair in (*(self.white or ()), *(self.black or ())) for name in pair]
            some = Variables(tuple(Variable(name, ("",)) for name in dict.fromkeys(listed)))
            ArcLimits.of(some, self.white, self.black, len(some))
            return
        variables = Variables(tuple(Variable(name, ("",)) for name in names))
        if self.target is not None:
            variables.index(self.target, "targetCol")
        if self.structure == "exact":
            check_exact(len(names))
        most = len(names) if self.structure in ("fixed", "pc") else self.max_parents
        ArcLimits.of(variables, self.white, self.black, most)


@dataclass(frozen=True)
class Learned:
    """A learned structure.

    Attributes
    ----------
    parents : tuple of tuple of int
    facts : dict
        What the algorithm found besides, as JSON values.
    """

    parents: Parents
    facts: dict[str, Any]


def learn_structure(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    """Learn a structure.

    Parameters
    ----------
    counts : FamilyCounts
        Before its first pass.
    plan : StructurePlan

    Raises
    ------
    DataError
        ``empty_data``, ``too_many_cells``.
    ConfigurationError
        Those of `StructurePlan.check`.
    """
    return _LEARNERS[plan.structure](counts, plan)


def _named(counts: FamilyCounts, pairs: Sequence[tuple[int, int]]) -> list[list[str]]:
    names = counts.variables.names
    return [[names[a], names[b]] for a, b in pairs]


def _limits(counts: FamilyCounts, plan: StructurePlan) -> ArcLimits:
    return ArcLimits.of(counts.variables, plan.white, plan.black, plan.max_parents)


def _scores(counts: FamilyCounts, plan: StructurePlan) -> FamilyScores:
    return FamilyScores(counts, Score(plan.score, counts.n_rows, plan.sample_size))


def _chow_liu(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    counts.count_all(2)
    root = 0 if plan.target is None else counts.variables.index(plan.target, "targetCol")
    tree = chow_liu(counts, root)
    facts = {
        "mutual_information": math.fsum(tree.weights),
        "edges": [
            [*pair, weight]
            for pair, weight in zip(_named(counts, tree.edges), tree.weights, strict=True)
        ],
    }
    return Learned(tree.parents, facts)


def _naive_bayes(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    label = counts.variables.index(str(plan.target), "targetCol")
    counts.count([Target(()), Target((label,))])
    return Learned(naive_bayes(len(counts.variables), label), {})


def _tan(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    label = counts.variables.index(str(plan.target), "targetCol")
    others = [v for v in range(len(counts.variables)) if v != label]
    counts.count(
        [Target(()), Target((label,)), *(Target(tuple(sorted((v, label)))) for v in others)]
    )
    return Learned(tree_augmented(counts, label), {})


def _hill_climbing(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    limits = _limits(counts, plan)
    counts.count_all(3 if plan.max_parents > 1 else 2)
    scores = _scores(counts, plan)
    found = hill_climbing(scores, limits, tabu=plan.tabu, restarts=plan.restarts, seed=plan.seed)
    facts: dict[str, Any] = {"steps": found.steps, "families": found.families}
    if scores.refused:
        facts["families_too_large"] = len(scores.refused)
    return Learned(found.parents, facts)


def _exact(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    check_exact(len(counts.variables))
    limits = _limits(counts, plan)
    counts.count_all(3 if plan.max_parents > 1 else 2)
    scores = _scores(counts, plan)
    return Learned(exact_search(scores, limits), {"families": scores.evaluated})


def _pc(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    d = len(counts.variables)
    limits = ArcLimits.of(counts.variables, plan.white, plan.black, d)
    counts.count_all(3)
    found = pc_stable(
        counts,
        limits,
        test=cast("TestName", plan.test),
        alpha=plan.alpha,
        correction=plan.correction != "none",
        most_conditions=plan.max_parents,
    )
    facts = {"tests": found.tests, "undirected": _named(counts, found.undirected)}
    return Learned(found.parents, facts)


def _fixed(counts: FamilyCounts, plan: StructurePlan) -> Learned:
    limits = ArcLimits.of(counts.variables, plan.white, plan.black, len(counts.variables))
    parents = limits.start()
    counts.count([Target(()), *(Target(of, (v,)) for v, of in enumerate(parents))])
    return Learned(parents, {})


_LEARNERS: dict[str, Callable[[FamilyCounts, StructurePlan], Learned]] = {
    "chow-liu": _chow_liu,
    "naive-bayes": _naive_bayes,
    "tan": _tan,
    "hill-climbing": _hill_climbing,
    "exact": _exact,
    "pc": _pc,
    "fixed": _fixed,
}
