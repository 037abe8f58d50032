"""Chooses the strength of a penalty by cross-validation over folds of hashed keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.statistics.design import Design, Rows
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.fit_glm import fit_glm, uses_gram
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.information_fit import InformationFit
from sparkml_dist.statistics.moments import first_moments

__all__ = ["ChosenPenalty", "FoldDesign", "chosen_penalty"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ChosenPenalty:
    """The strength with the least held-out deviance.

    Attributes
    ----------
    alpha : float
    rows : list of dict
        For every strength, the greatest first: ``alpha``, ``deviance`` (mean of a held-out row),
        ``error`` (its standard error over folds), ``nonzero`` (mean number of coefficients that
        are not 0).
    coefficients : ndarray of shape (alphas, …)
        Of the fits of all rows, in the order of `rows`.
    seconds : float
    """

    alpha: float
    rows: list[dict[str, Any]]
    coefficients: Array
    seconds: float


def chosen_penalty(
    run: Callable[..., Any],
    solve: Callable[..., dict[str, Any]],
    problem: GlmProblem,
    alphas: Sequence[float],
    folds: int,
    seed: int,
) -> ChosenPenalty:
    """Fit every strength on every fold's complement, score the fold, and fit all rows.

    Parameters
    ----------
    run : callable
        ``run(solve, problem, passes=…)``: `run_solver` with its data.
    solve : callable
        The function that fits.
    problem : GlmProblem
    alphas : sequence of float
    folds : int
    seed : int

    Returns
    -------
    ChosenPenalty
    """
    ordered = sorted({float(a) for a in alphas}, reverse=True)
    work = _Path(solve, ordered, folds, seed)
    solved = run(work, problem, passes=4 * (folds + 1) * len(ordered))
    deviance = np.asarray(solved.value["deviance"])  # (alphas, folds)
    weight = np.asarray(solved.value["weight"])
    means = deviance.sum(axis=1) / weight.sum()
    each = deviance / weight
    errors = each.std(axis=1, ddof=1) / np.sqrt(folds)
    nonzero = np.asarray(solved.value["nonzero"]).mean(axis=1)
    best = int(np.argmin(means))
    rows: list[dict[str, Any]] = [
        {"alpha": a, "deviance": float(d), "error": float(e), "nonzero": float(z)}
        for a, d, e, z in zip(ordered, means, errors, nonzero, strict=True)
    ]
    coefficients = np.asarray(solved.value["coefficients"])
    return ChosenPenalty(ordered[best], rows, coefficients, solved.seconds)


@dataclass(frozen=True)
class _Path:
    """Fits all strengths on all folds, and on all rows; runs where the solver runs."""

    solve: Callable[..., dict[str, Any]]
    alphas: Sequence[float]
    folds: int
    seed: int

    def __call__(self, sums: Sums, problem: GlmProblem) -> dict[str, Any]:
        shape = (len(self.alphas), self.folds)
        deviance, nonzero, weight = np.zeros(shape), np.zeros(shape), np.zeros(self.folds)
        for fold in range(self.folds):
            design = FoldDesign.over(problem.design, fold, self.folds, self.seed, held_out=False)
            fits = self._fits(sums, replace(problem, design=design))
            for i, fitted in enumerate(fits):
                scored = replace(
                    design,
                    held_out=True,
                    means=tuple(fitted["means"]),
                    dropped=tuple(fitted["dropped"]),
                )
                beta = np.asarray(fitted["coefficients"])
                family = replace(problem.family, overdispersion=fitted["overdispersion"])
                found = sums.add(_HeldOut(scored, family), (beta,))
                deviance[i, fold] = found["deviance"]
                weight[fold] = found["weight"]
                nonzero[i, fold] = np.count_nonzero(beta)
        whole = [np.asarray(fitted["coefficients"]) for fitted in self._fits(sums, problem)]
        return {
            "deviance": deviance,
            "weight": weight,
            "nonzero": nonzero,
            "coefficients": np.array(whole),
        }

    def _fits(self, sums: Sums, problem: GlmProblem) -> Iterator[dict[str, Any]]:
        """Yield the fit of each strength; with an information matrix, each begins with the last."""
        if self.solve is not fit_glm or not uses_gram(problem):
            for alpha in self.alphas:
                penalty = replace(problem.penalty, alpha=alpha)
                yield self.solve(sums, replace(problem, penalty=penalty))
            return
        label = sums.data.manifest.label.column
        moments, design = first_moments(sums, problem, label)
        begin, family = None, problem.family
        penalty = replace(problem.penalty, alpha=self.alphas[0])
        fit = InformationFit(sums, replace(problem, design=design, penalty=penalty), moments, label)
        fit.prepare(family)
        for alpha in self.alphas:
            fit.problem = replace(fit.problem, penalty=replace(penalty, alpha=alpha))
            result = fit.run(family, begin)
            begin = result.beta
            yield {
                "coefficients": fit.uncentred() @ begin,
                "means": design.means,
                "dropped": fit.dropped,
                "overdispersion": family.overdispersion,
            }


@dataclass(frozen=True)
class FoldDesign(Design):
    """A design that sees the rows of one fold, or all others.

    Attributes
    ----------
    fold, folds, seed : int
    held_out : bool
        Whether it sees the fold.
    """

    fold: int = 0
    folds: int = 2
    seed: int = 0
    held_out: bool = False

    @classmethod
    def over(
        cls, design: Design, fold: int, folds: int, seed: int, *, held_out: bool
    ) -> FoldDesign:
        """Return a design for a fold."""
        return cls(**vars(design), fold=fold, folds=folds, seed=seed, held_out=held_out)

    def rows(self, block: Block) -> Rows:
        """Return the rows of the fold, or all others."""
        inside = (uniform(block.key, self.seed, "fold") * self.folds).astype(int) == self.fold
        kept = inside == self.held_out
        weight = None if block.weight is None else block.weight[kept]
        return super().rows(Block(block.X[kept], block.y[kept], weight, block.key[kept]))


@dataclass(frozen=True)
class _HeldOut:
    design: Design
    family: Family

    def __call__(self, block: Block, beta: Array) -> Summands:
        D, y, w, offset, _ = self.design.rows(block)
        if beta.ndim == 2:
            eta = np.column_stack([np.zeros(len(y)), D @ beta.T])
            eta -= eta.max(axis=1, keepdims=True)
            log = eta[np.arange(len(y)), y.astype(np.int64)] - np.log(np.exp(eta).sum(axis=1))
            return {"deviance": -2.0 * float(w @ log), "weight": w.sum()}
        mu = self.family.link.mean(D @ beta + offset)
        return {"deviance": float(w @ self.family.deviance(y, mu)), "weight": w.sum()}
