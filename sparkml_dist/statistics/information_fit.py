"""Fits with an information matrix: dependent columns, factors, Newton steps, covariances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import DataError
from sparkml_dist.statistics.checks import check_pivots, constant_columns
from sparkml_dist.statistics.factor import Factor, Pivots, pivots_of, triangle_pivots
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.glm_sums import GlmPass, LogLikelihood
from sparkml_dist.statistics.newton import NewtonResult, newton
from sparkml_dist.statistics.robust import robust_covariance
from sparkml_dist.statistics.tsqr import QrPass, joined_triangle

__all__ = ["InformationFit"]

Array = npt.NDArray[np.float64]

#: A Gram matrix of more columns than this is not formed by default.
MOST_COLUMNS = 4_096
# Columns whose condition number is greater are decomposed by QR: their Gram matrix has lost more
# than half of the digits.
_GRAM_CONDITION = 1e5
_GRAM_TOLERANCE, _QR_TOLERANCE = 1e-10, 1e-12
_MOST_TRIANGLES = 1 << 27  # values of all shards' triangles
_ROUNDS = 50


class InformationFit:
    """The steps of a fit with an information matrix."""

    def __init__(self, sums: Sums, problem: GlmProblem, moments: Arrays, label: str) -> None:
        self.sums, self.problem, self.label = sums, problem, label
        self.weight = float(moments["weight"])
        self.count = self.weight if problem.frequency else float(moments["used"])
        self.mean = float(moments["y"]) / self.weight
        self.moments = moments
        design = problem.design
        if design.intercept and not design.sparse:
            design = design.with_centre(moments["x"] / moments["weight"])
        self.design = design
        self.dropped: tuple[int, ...] = ()
        self.qr = problem.factorization == "qr"
        self.condition = np.nan
        self._first: tuple[Arrays, Array] | None = None
        self._null_deviance = np.nan

    # -- before the first step ------------------------------------------------------------

    def prepare(self, family: Family) -> None:
        """Find columns that depend on others, and decide how the information is decomposed."""
        pivots, flat, first = self._inspected(family)
        gone = check_pivots(self.design, flat, pivots, drop=self.problem.drop_collinear)
        while gone:
            self.dropped = tuple(sorted({*self.dropped, *self._places(gone)}))
            self.design = replace(self.design, dropped=self.dropped)
            self.qr = self.problem.factorization == "qr"  # without them, perhaps no more
            pivots, flat, first = self._inspected(family)
            gone = check_pivots(self.design, flat, pivots, drop=self.problem.drop_collinear)
        if self.count <= len(self.design.terms) and not self.problem.penalty.alpha:
            raise DataError(
                "too_few_rows",
                f"There are {self.count:g} rows for {len(self.design.terms)} coefficients.",
                "Give more rows than columns, or set alpha > 0 for a penalty.",
            )
        self._first = first
        self._null_deviance = float(first[0]["null_deviance"])

    def _places(self, gone: tuple[int, ...]) -> list[int]:
        kept = [i for i in range(len(self.design.all_terms)) if i not in set(self.dropped)]
        return [kept[j] for j in gone]

    def _inspected(self, family: Family) -> tuple[Pivots, list[int], tuple[Arrays, Array]]:
        if not self.qr:
            found = self.sums.add(self._pass(family), (None,))
            gram = found["gram"]
            flat = self._flat(np.diag(gram) / max(found["information"], 1e-300))
            pivots = _without(pivots_of(gram, _GRAM_TOLERANCE), flat)
            first = self._gram_triangle(found)
            whole = not (flat or pivots.zero or pivots.dependent)
            if whole and first is not None:
                self.condition = Factor.of_triangle(first).condition
            good = whole and first is not None and self.condition <= _GRAM_CONDITION
            if good or self.problem.factorization == "gram" or not self._room():
                if first is None:
                    first = np.eye(len(gram))
                return pivots, flat, (found, first)
            self.qr = True
        found = self._qr_sums(family, None)
        plain = joined_triangle(found["triangles"], np.zeros(found["triangles"].shape[1]))
        flat = self._flat((plain * plain).sum(axis=0) / max(found["information"], 1e-300))
        pivots = _without(triangle_pivots(plain, _QR_TOLERANCE), flat)
        if not (flat or pivots.zero or pivots.dependent):
            self.condition = Factor.of_triangle(plain).condition
        return pivots, flat, (found, joined_triangle(found["triangles"], self.penalty()[1]))

    def _room(self) -> bool:
        return len(self.sums.data.shards) * len(self.design.terms) ** 2 <= _MOST_TRIANGLES

    def _flat(self, squares: Array) -> list[int]:
        kept = [i for i in range(len(self.design.all_terms)) if i not in set(self.dropped)]
        if self.design.sparse:  # not centred
            mean = self.moments["x"][kept] / self.weight
            squares = self.moments["xx"][kept] / self.weight - mean * mean
            loose = {**self.moments, "x": self.moments["x"][kept] * 1e5}
            return constant_columns(self.design, loose, squares)
        part = {**self.moments, "x": self.moments["x"][kept]}
        return constant_columns(self.design, part, squares)

    # -- passes ---------------------------------------------------------------------------

    def _pass(self, family: Family) -> GlmPass:
        return GlmPass(self.design, family, self.mean)

    def _qr_sums(self, family: Family, beta: Array | None) -> Arrays:
        work = QrPass(self._pass(family), len(self.sums.data.shards))
        return self.sums.add_shards(work, (beta,))

    def _gram_triangle(self, found: Arrays) -> Array | None:
        try:
            factor = Factor.of_gram(found["gram"] + np.diag(self.penalty()[1]))
        except np.linalg.LinAlgError:
            return None
        return np.asarray(factor.R * factor.scale)

    def penalty(self) -> tuple[Array, Array]:
        """Return the L1 and L2 penalty of each coefficient, on the summed loss."""
        return self.problem.penalty.vectors(
            self.weight, self.deviations(), intercept=self.design.intercept
        )

    def deviations(self) -> Array:
        """Return the standard deviation of each column; 1 for the intercept."""
        kept = [i for i in range(len(self.design.all_terms)) if i not in set(self.dropped)]
        mean = self.moments["x"][kept] / self.weight
        squares = self.moments["xx"][kept] / self.weight
        found = np.sqrt(np.maximum(squares - mean * mean, 0.0))
        found = np.where(found > 1e-9 * np.abs(mean), found, np.sqrt(squares))
        if self.design.intercept:
            found[0] = 1.0
        return np.asarray(found)

    def run(self, family: Family, begin: Array | None) -> NewtonResult:
        """Take Newton steps from the means to begin with, or from coefficients."""
        l1, l2 = self.penalty()
        first = self._first if begin is None else None
        linear = family.name == "gaussian" and family.link.name == "identity"
        kept: list[Array] = []  # the information of a linear model is the same at every step

        def evaluate(beta: Array | None) -> tuple[Arrays, Array]:
            nonlocal first
            if first is not None:
                found, triangle = first
                first = None
            elif linear and kept:
                found, triangle = (
                    self.sums.add(replace(self._pass(family), gram=False), (beta,)),
                    kept[0],
                )
            elif self.qr:
                found = self._qr_sums(family, beta)
                triangle = joined_triangle(found["triangles"], l2)
            else:
                found = self.sums.add(self._pass(family), (beta,))
                some = self._gram_triangle(found)
                if some is None:
                    raise np.linalg.LinAlgError("the information is singular")
                triangle = some
            kept.append(triangle)
            return found, triangle

        return newton(
            evaluate,
            family,
            self.design.terms,
            self.deviations(),
            l1,
            l2,
            label=self.label,
            freedom=max(self.count - len(self.design.terms), 1e-300),
            max_iter=self.problem.max_iter,
            tol=self.problem.tol,
            begin=begin,
        )

    # -- after the last step --------------------------------------------------------------

    def uncentred(self) -> Array:
        """Return the matrix from coefficients of centred columns to those of the columns."""
        move = np.eye(len(self.design.terms))
        if self.design.centre:
            kept = [i for i in range(len(self.design.all_terms)) if i not in set(self.dropped)]
            move[0] -= np.asarray(self.design.centre)[kept]
        return move

    def finished(self, family: Family, result: NewtonResult) -> dict[str, Any]:
        """Return coefficients and covariance for the columns as they are, and the fit's facts."""
        design, problem, p = self.design, self.problem, len(self.design.terms)
        freedom = self.count - p
        pearson, deviance = float(result.sums["pearson"]), float(result.sums["deviance"])
        dispersion = pearson / freedom if family.estimates_dispersion and freedom > 0 else 1.0
        covariance = None
        if not problem.penalty.alpha:
            if problem.covariance == "nonrobust":
                covariance = result.factor.inverse() * dispersion
            else:
                covariance = robust_covariance(
                    self.sums,
                    design,
                    family,
                    result.beta,
                    result.factor,
                    kind=problem.covariance,
                    clusters=problem.clusters,
                    frequency=problem.frequency,
                    rows=self.count,
                )
        likelihood = self._likelihood(family, result, dispersion)
        move = self.uncentred()
        beta = move @ result.beta
        if covariance is not None:
            covariance = move @ covariance @ move.T
        return {
            "coefficients": beta,
            "covariance": covariance,
            "dropped": list(self.dropped),
            "means": list(design.means),
            "rows": self.count,
            "weight": self.weight,
            "dispersion": dispersion,
            "deviance": deviance,
            "pearson": pearson,
            **likelihood,
            "iterations": result.iterations,
            "converged": result.converged,
            "stopped": result.stopped,
            "solver": "newton",
            "factorization": "qr" if self.qr else "gram",
            "condition": float(self.condition),
            "overdispersion": family.overdispersion,
            "clusters": None if problem.clusters is None else len(problem.clusters),
            "passes": self.sums.passes,
        }

    def _likelihood(
        self, family: Family, result: NewtonResult, dispersion: float
    ) -> dict[str, Any]:
        """Return log-likelihoods of the model and of the mean alone, and the latter's deviance.

        None where there is none.
        """
        simple = self.design.intercept and self.design.offset is None
        if family.name == "gaussian":
            # At the maximum over the variance too, as for any linear regression.
            model = _gaussian(float(result.sums["deviance"]), self.count)
            deviance = self._null_deviance
            null = _gaussian(deviance, self.count)
        else:
            work = LogLikelihood(self.design, family, self.mean, max(dispersion, 1e-300))
            found = self.sums.add(work, (result.beta,))
            deviance = float(found["null_deviance"])
            model, null = (
                float(found[name]) if np.isfinite(found[name]) else None
                for name in ("model", "null")
            )
        return {
            "log_likelihood": model,
            "null_log_likelihood": null if simple else None,
            "null_deviance": deviance if simple else None,
        }


def _gaussian(squares: float, count: float) -> float | None:
    """Return the log-likelihood of residuals with this sum of squares; None for a perfect fit."""
    if not squares > 0:
        return None
    return float(-count / 2 * (np.log(2 * np.pi * squares / count) + 1))


def _without(pivots: Pivots, flat: list[int]) -> Pivots:
    """Return the dependent columns that have variance."""
    return Pivots({j: parts for j, parts in pivots.dependent.items() if j not in flat}, pivots.zero)
