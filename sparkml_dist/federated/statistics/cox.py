"""Cox's model of proportional hazards over the rows of all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum
from sparkml_dist.federated.statistics.cox_result import CoxResult
from sparkml_dist.federated.statistics.glm_passes import form_of
from sparkml_dist.federated.statistics.kaplan_meier import survival_times
from sparkml_dist.federated.statistics.partial_likelihood import TIES, partial_likelihood
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.statistics.survival_rows import check_survival, checked_grid
from sparkml_dist.federated.statistics.symmetric import unpacked
from sparkml_dist.statistics.checks import check_pivots
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.factor import Factor, pivots_of
from sparkml_dist.statistics.families import Family, family_of
from sparkml_dist.statistics.inference import Inference
from sparkml_dist.statistics.links import link_of
from sparkml_dist.statistics.newton import newton

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation

__all__ = ["federated_cox"]

Array = npt.NDArray[np.float64]

_COLLINEAR = 1e-10


def federated_cox(
    federation: Federation,
    *,
    timeCol: str,
    eventCol: str,
    featuresCols: Sequence[str] | None = None,
    ties: str = "efron",
    strata: str | None = None,
    times: Sequence[float] | None = None,
    handleInvalid: str = "error",
    maxIter: int = 50,
    tol: float = 1e-8,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> CoxResult:
    """Fit Cox's model of proportional hazards, with standard errors, over the rows of all silos.

    Three forms, by what leaves a silo. Without `times` and `strata`: the distinct times of its
    events, then in each round sums over the rows at risk at each time of any silo's events; the
    result is exactly that of the pooled rows, but differences of neighbouring sums are values of
    single rows, so that this form needs silos that trust the coordinator, or a grid and a secure
    sum. With `times`: the same sums on a grid of times. With ``strata="silo"``: gradient and
    information of its own partial likelihood, and no times at all; each silo then has a baseline
    hazard of its own, which is another model, equal to the pooled one stratified by silo.

    Parameters
    ----------
    federation : Federation
    timeCol, eventCol : str
        Time of each row, and whether it is that of an event (1) or of censoring (0): features, or
        the label.
    featuresCols : sequence of str, optional
        All other features by default. Categories have a coefficient each, but for the first.
    ties : {"efron", "breslow"}, default="efron"
    strata : {"silo"}, optional
    times : sequence of float, optional
        Ascending grid to which times are rounded up.
    handleInvalid : {"error", "skip"}, default="error"
        Of missing features; rows without time or event are left out.
    maxIter, tol
        As for `LinearRegression`.
    minimumCount : int, default=1
        A silo with fewer complete rows than this, or than its own policy asks for, does not answer.
    minimumSilos : int, optional
        As for `federated_glm`.
    secure : SecureSum, optional
        With `times` or `strata` only.

    Returns
    -------
    CoxResult

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``bad_times``, ``target_not_of_family``,
        ``no_events``, ``missing_values``, ``constant_feature``, ``collinear_features`` or
        ``perfect_separation`` (a coefficient that grows without end).
    ConfigurationError
        ``invalid_param`` or ``conflicting_params``.

    References
    ----------
    Lu et al. (2015), "WebDISCO: a web service for distributed Cox model learning without
    patient-level data sharing", Journal of the American Medical Informatics Association 22.
    """
    agreed, grid = AgreedColumns(federation.schema), checked_grid(times)
    checks = (("ties", ties, TIES), ("strata", strata, (None, "silo")))
    for name, value, choices in (*checks, ("handleInvalid", handleInvalid, ("error", "skip"))):
        if value not in choices:
            raise ConfigurationError(
                "invalid_param", f"{name} must be one of {', '.join(map(str, choices))}."
            )
    if grid is not None and strata is not None:
        raise ConfigurationError(
            "conflicting_params", "With strata no times leave a silo: times has no effect."
        )
    roles = (timeCol, eventCol)
    names = [n for n in agreed.features.feature_names if n not in roles]
    facts: dict[str, Any] = {
        "time": timeCol,
        "event": eventCol,
        "features": names if featuresCols is None else list(featuresCols),
        "ties": ties,
        "round_up": grid is not None,
        "handling": handleInvalid,
        "minimum": check_minimum(minimumCount),
    }
    check_survival(agreed, facts)
    schema, _ = agreed.chosen(facts["features"])
    design = Design.of(schema, intercept=False, handling="skip")
    if not design.terms:
        raise DataError("no_features", "There is no feature beside time and event.")

    def compute(pool: Pool) -> CoxResult:
        return _Fit(pool, facts, design, strata, grid).run(maxIter, tol)

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


class _Fit:
    """The rounds of one fit."""

    def __init__(
        self, pool: Pool, facts: dict[str, Any], design: Design, strata: str | None, grid: Any
    ) -> None:
        self.pool, self.facts, self.design = pool, facts, design
        self.strata, self.efron = strata, facts["ties"] == "efron"
        self._moments()
        self.times = None if strata else survival_times(pool, facts, grid)
        self.likelihoods: list[float] = []
        self.last: dict[str, Any] = {}

    def _moments(self) -> None:
        """Take the means of the columns in one round, so that exponents stay small."""
        request = {
            "pass": "moments",
            "features": self.facts["features"],
            "intercept": False,
            "offset": None,
            "handling": "error" if self.facts["handling"] == "error" else "skip",
            "minimum": self.facts["minimum"],
            "family": family_of("gaussian").to_dict(),
            "dropped": [],
        }
        places: Any = {name: ({"place": i}, {}) for i, name in enumerate(self.pool.silos)}
        answers = self.pool.sum("glm_pass", request, own=places)
        found = form_of(request, {}, self.design).decode(answers)
        weight = found["weight"]
        self.means = found["x"] / weight
        self.deviations = np.sqrt(np.maximum(found["xx"] / weight - self.means**2, 0.0))

    def evaluate(self, beta: Array) -> tuple[float, Array, Array]:
        """Return partial likelihood, gradient and information in one round."""
        arrays = {"beta": beta, "centre": self.means}
        if self.times is None:
            found = self.pool.sum("cox_silo", self.facts, arrays)
            self.last = found
            return float(found["likelihood"]), found["score"], unpacked(found["information"])
        self.last = self.pool.sum("risk_sums", self.facts, {**arrays, "times": self.times})
        return partial_likelihood(self.last, beta, efron=self.efron)

    def run(self, max_iter: int, tol: float) -> CoxResult:
        """Take Newton steps from 0."""
        terms, p = self.design.terms, len(self.design.terms)

        def evaluate(beta: Array | None) -> tuple[dict[str, Any], Array]:
            at = np.zeros(p) if beta is None else beta
            value, score, information = self.evaluate(at)
            if not self.likelihoods:
                self._check(information)
            self.likelihoods.append(value)
            factor = Factor.of_gram(information)
            sums = {"score": score, "deviance": -2 * value, "pearson": 0.0, "bad": 0}
            return sums, factor.R * factor.scale

        result = newton(
            evaluate,
            Family("cox", link_of("log")),
            terms,
            np.where(self.deviations > 0, self.deviations, 1.0),
            np.zeros(p),
            np.zeros(p),
            label=self.facts["event"],
            freedom=1.0,
            max_iter=max_iter,
            tol=tol,
        )
        return CoxResult(
            terms,
            self.means,
            Inference(result.beta, result.factor.inverse(), None),
            self.likelihoods[-1],
            self.likelihoods[0],
            int(np.sum(self.last["deaths"])),
            self.facts["ties"],
            self.strata,
            self._baseline(),
            result.converged,
            result.iterations,
            self.pool.facts(),
        )

    def _check(self, information: Array) -> None:
        if not np.sum(self.last["deaths"]):
            raise DataError(
                "no_events",
                f"No complete row of the silos has an event in {self.facts['event']!r}.",
                "Check the column.",
            )
        check_pivots(self.design, [], pivots_of(information, _COLLINEAR), drop=False)

    def _baseline(self) -> pd.DataFrame | None:
        import pandas as pd

        if self.times is None:
            return None
        d, risk = self.last["deaths"], self.last["risk0"]
        seen = d > 0
        hazard = np.cumsum(d[seen] / risk[seen])
        return pd.DataFrame(
            {"time": self.times[seen], "events": d[seen], "cumulative_hazard": hazard}
        )
