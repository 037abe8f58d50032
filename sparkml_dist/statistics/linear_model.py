"""Base of the fitted linear models: coefficients, their errors and tests, the summary."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.params import param
from sparkml_dist.persistence.arrays import check_array, read_array
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.inference import Inference
from sparkml_dist.statistics.model_summary import NO_ERRORS, long_form, model_summary
from sparkml_dist.statistics.scorer import LinearScorer
from sparkml_dist.statistics.summary import FitFacts, Summary

__all__ = ["COEFFICIENTS", "COVARIANCE", "LinearModel"]

Array = npt.NDArray[np.float64]

COEFFICIENTS, COVARIANCE = "coefficients.npy", "covariance.npy"


class LinearModel(FittedModel, ShardModel):
    """A linear model; see `ShardModel` for further attributes.

    Attributes
    ----------
    terms : list of str
        Names of the coefficients: ``(intercept)``, features, and ``feature=category``. With more
        than two classes, each begins with its class: ``b: x``.
    coefficients : dict of str to float
    standardErrors, testStatistics, pValues : dict of str to float
        By term. The statistics are Student's t for a linear regression with the usual standard
        errors, and z otherwise.
    covariance : ndarray of shape (k, k)
        Of the coefficients, in the order of `terms`.
    summary : dict
        ``rows``, ``deviance``, ``null_deviance``, ``dispersion``, ``log_likelihood``,
        ``iterations``, ``converged``, ``stopped`` (the rule that ended the solver), ``solver``,
        ``factorization``, ``condition``, ``dropped`` (terms), ``form``, ``ranks``, ``passes``,
        ``seconds``, ``pass_seconds``. Called, ``model.summary()`` is a table to print.
    """

    confidenceLevel: Any = param(
        "confidenceLevel", "level of confidence intervals (> 0, < 1)", TypeConverters.toFloat
    )

    _defaults: ClassVar[dict[str, Any]] = {"confidenceLevel": 0.95}
    _title: ClassVar[str] = "Generalized linear model"

    summary: FitFacts

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.summary = FitFacts(self, self.summary)
        self._arrays: dict[str, Array] = {}

    # -- coefficients ---------------------------------------------------------------------

    @property
    def terms(self) -> list[str]:
        """Names of the coefficients."""
        found = self._design().terms
        if self._n_outputs() == 1:
            return found
        return [f"{c}: {term}" for c in self.label.classes[1:] for term in found]

    @property
    def coefficients(self) -> dict[str, float]:
        """Coefficients by term."""
        return self._named(self._arrays["coefficients"].ravel())

    @property
    def intercept(self) -> float:
        """The intercept; 0.0 where there is none, and that of the second class for several."""
        if not self.content["design"]["intercept"]:
            return 0.0
        return float(self._arrays["coefficients"].ravel()[0])

    @property
    def covariance(self) -> Array:
        """Covariance of the coefficients.

        Raises
        ------
        ConfigurationError
            ``not_kept`` for a fit with a penalty, or without an information matrix.
        """
        return self._inference().covariance.copy()

    @property
    def standardErrors(self) -> dict[str, float]:
        """Standard errors by term; raises as `covariance`."""
        return self._named(self._inference().errors)

    @property
    def testStatistics(self) -> dict[str, float]:
        """Coefficients in standard errors, by term; raises as `covariance`."""
        return self._named(self._inference().statistics)

    @property
    def pValues(self) -> dict[str, float]:
        """Two-sided p-values by term; raises as `covariance`."""
        return self._named(self._inference().p_values)

    def confidenceIntervals(self, level: float | None = None) -> dict[str, tuple[float, float]]:
        """Return confidence intervals by term.

        Parameters
        ----------
        level : float, optional
            `confidenceLevel` by default.

        Raises
        ------
        ConfigurationError
            ``not_kept`` as for `covariance`, or ``invalid_param``.
        """
        found = self._inference().intervals(self._level(level))
        return {t: (float(a), float(b)) for t, (a, b) in zip(self.terms, found, strict=True)}

    # -- goodness of fit ------------------------------------------------------------------

    @property
    def logLikelihood(self) -> float | None:
        """Log-likelihood; None without an information matrix, and for some Tweedie powers.

        These are 1, and those above 2.
        """
        return self._number("log_likelihood")

    @property
    def deviance(self) -> float:
        """Deviance; the residual sum of squares for a Gaussian."""
        return float(self.summary["deviance"])

    @property
    def nullDeviance(self) -> float | None:
        """Deviance of the mean alone; None with an offset or without an intercept."""
        return self._number("null_deviance")

    @property
    def dispersion(self) -> float:
        """Estimated dispersion (Pearson's statistic by its degrees of freedom), or 1."""
        return float(self.summary["dispersion"])

    @property
    def degreesOfFreedom(self) -> float:
        """Residual degrees of freedom."""
        return float(self.summary["rows"]) - self._n_coefficients()

    @property
    def aic(self) -> float | None:
        """Akaike's criterion, ``2 k - 2 logLikelihood``, k being the number of coefficients."""
        found = self.logLikelihood
        return None if found is None else 2.0 * self._n_coefficients() - 2.0 * found

    @property
    def bic(self) -> float | None:
        """Schwarz's criterion, ``k log(rows) - 2 logLikelihood``."""
        found = self.logLikelihood
        if found is None:
            return None
        return float(self._n_coefficients() * np.log(self.summary["rows"]) - 2.0 * found)

    # -- the summary ----------------------------------------------------------------------

    def _summary(self, level: float | None) -> Summary:
        return model_summary(self, self._level(level))

    def _facts(self) -> list[tuple[str, str]]:
        facts = self.summary
        found = [
            ("Dep. variable", self.label.column),
            ("No. observations", f"{facts['rows']:,.10g}"),
            ("Df residuals", f"{self.degreesOfFreedom:,.10g}"),
            ("Df model", f"{self._n_coefficients() - self._n_intercepts():,}"),
            ("Covariance", str(self.content["covariance"])),
            ("Iterations", str(facts["iterations"])),
            ("Deviance", long_form(self.deviance)),
            ("Dispersion", long_form(self.dispersion)),
        ]
        more = [
            ("Log-likelihood", self.logLikelihood),
            ("AIC", self.aic),
            ("BIC", self.bic),
            ("Null deviance", self.nullDeviance),
        ]
        return found + [(name, long_form(value)) for name, value in more if value is not None]

    # -- parts ----------------------------------------------------------------------------

    def _design(self) -> Design:
        return Design.from_dict(self.content["design"], self.schema)

    def _family(self) -> Family:
        return Family.from_dict(self.content["family"])

    def _n_outputs(self) -> int:
        return max(1, len(self.label.classes) - 1)

    def _n_coefficients(self) -> int:
        return int(self._arrays["coefficients"].size)

    def _n_intercepts(self) -> int:
        return self._n_outputs() if self.content["design"]["intercept"] else 0

    def _has_covariance(self) -> bool:
        return "covariance" in self._arrays

    def _inference(self) -> Inference:
        if not self._has_covariance():
            raise ConfigurationError("not_kept", NO_ERRORS, _HINT)
        freedom = None
        if self.content["student"] and self.content["covariance"] == "nonrobust":
            freedom = self.degreesOfFreedom
        return Inference(self._arrays["coefficients"].ravel(), self._arrays["covariance"], freedom)

    def _named(self, values: Array) -> dict[str, float]:
        return dict(zip(self.terms, map(float, values), strict=True))

    def _number(self, name: str) -> float | None:
        value = self.summary[name]
        return None if value is None else float(value)

    def _level(self, level: float | None) -> float:
        chosen: float = self.getOrDefault(self.confidenceLevel) if level is None else level
        if not 0 < chosen < 1:
            raise ConfigurationError(
                "invalid_param", f"confidenceLevel must be > 0 and < 1. Got {chosen!r}."
            )
        return chosen

    def _scorer(self) -> LinearScorer:
        link = None if self._n_outputs() > 1 else self._family().link
        return LinearScorer(
            self._design(), self._arrays["coefficients"], link, len(self.label.classes)
        )

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        arrays = {"coefficients": read_array(saved.folder, saved.listed(COEFFICIENTS))}
        if saved.has(COVARIANCE):
            arrays["covariance"] = read_array(saved.folder, saved.listed(COVARIANCE))
        width = len(model._design().terms)
        outputs = model._n_outputs()
        check_array(arrays, "coefficients", (width,) if outputs == 1 else (outputs, width))
        if "covariance" in arrays:
            check_array(arrays, "covariance", (width * outputs, width * outputs))
        model._arrays = arrays
        model._family()
        return model


_HINT = 'Set alpha=0 and solver="newton".'
