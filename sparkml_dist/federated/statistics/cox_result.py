"""A fitted model of proportional hazards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.statistics.inference import Inference
from sparkml_dist.statistics.model_summary import long_form, short
from sparkml_dist.statistics.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CoxResult"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CoxResult:
    """Cox's model of proportional hazards over the rows of all silos.

    Attributes
    ----------
    terms : list of str
    means : ndarray of shape (p,)
        Of the columns, to which `baseline` refers.
    inference : Inference
        Coefficients, covariance, errors, statistics and p-values as arrays.
    logLikelihood, nullLogLikelihood : float
        Logarithms of the partial likelihood, with the coefficients and without.
    events : int
    ties : {"efron", "breslow"}
    strata : {"silo"} or None
    baseline : pandas.DataFrame or None
        ``time``, ``events`` and ``cumulative_hazard`` at the means, by Breslow; None for strata.
    converged : bool
    iterations : int
    facts : dict
        ``silos``, ``rounds``, ``failed`` and ``bytes_per_silo_round``.
    """

    terms: list[str]
    means: Array
    inference: Inference
    logLikelihood: float
    nullLogLikelihood: float
    events: int
    ties: str
    strata: str | None
    baseline: pd.DataFrame | None
    converged: bool
    iterations: int
    facts: dict[str, Any]

    @property
    def coefficients(self) -> dict[str, float]:
        """Logarithms of hazard ratios by term."""
        return self._named(self.inference.coefficients)

    @property
    def hazardRatios(self) -> dict[str, float]:
        """Hazard ratios by term."""
        return self._named(np.exp(self.inference.coefficients))

    @property
    def standardErrors(self) -> dict[str, float]:
        """Standard errors of the coefficients by term."""
        return self._named(self.inference.errors)

    @property
    def pValues(self) -> dict[str, float]:
        """Two-sided p-values of Wald's test by term."""
        return self._named(self.inference.p_values)

    @property
    def covariance(self) -> Array:
        """Covariance of the coefficients, in the order of `terms`."""
        return self.inference.covariance.copy()

    @property
    def likelihoodRatioTest(self) -> tuple[float, float]:
        """Statistic and p-value of the test that all coefficients are 0."""
        from scipy import stats

        value = 2 * (self.logLikelihood - self.nullLogLikelihood)
        return value, float(stats.chi2.sf(value, len(self.terms)))

    def confidenceIntervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return confidence intervals of the coefficients by term."""
        found = self.inference.intervals(level)
        return {t: (float(a), float(b)) for t, (a, b) in zip(self.terms, found, strict=True)}

    def summary(self, *, level: float = 0.95) -> Summary:
        """Return a table to print, or to show in a notebook."""
        tail = (1 - level) / 2
        header = ["coef", "exp(coef)", "std err", "z", "P>|z|", f"[{tail:.3g}", f"{1 - tail:.3g}]"]
        found = self.inference
        rows = []
        for i, term in enumerate(self.terms):
            b, (low, high) = found.coefficients[i], found.intervals(level)[i]
            numbers = [short(b), short(float(np.exp(b))), short(found.errors[i])]
            numbers += [f"{found.statistics[i]:.3f}", f"{found.p_values[i]:.3f}"]
            rows.append((term, [*numbers, short(low), short(high)]))
        test, p = self.likelihoodRatioTest
        facts = [
            ("Ties", self.ties),
            ("Strata", self.strata or "none"),
            ("Events", f"{self.events:,}"),
            ("Silos", str(len(self.facts["silos"]))),
            ("Rounds", str(self.facts["rounds"])),
            ("Log-likelihood", long_form(self.logLikelihood)),
            ("Likelihood ratio", f"{test:.4g}"),
            ("Prob (LR)", f"{p:.3g}"),
        ]
        notes = () if self.converged else ("The solver has not converged: raise maxIter.",)
        return Summary("Cox model of proportional hazards", facts, header, rows, notes)

    def _named(self, values: Array) -> dict[str, float]:
        return dict(zip(self.terms, map(float, values), strict=True))
