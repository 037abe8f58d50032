"""Linear, logistic and generalized linear models over the rows of all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum
from sparkml_dist.federated.statistics.federated_sums import FederatedData, FederatedSums
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.statistics.fit_over_sums import checked_problem, fit_over_sums
from sparkml_dist.statistics.generalized_linear_model import GeneralizedLinearModel
from sparkml_dist.statistics.linear_estimator import LinearEstimator
from sparkml_dist.statistics.linear_model import LinearModel
from sparkml_dist.statistics.linear_regression import LinearRegression
from sparkml_dist.statistics.logistic_regression import LogisticRegression

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["coefficients_and_errors", "federated_glm"]


def federated_glm(
    federation: Federation,
    *,
    family: str | None = None,
    link: str | None = None,
    linkPower: float = 0.0,
    variancePower: float = 1.5,
    overdispersion: float | None = None,
    offsetCol: str | None = None,
    featuresCols: Sequence[str] | None = None,
    alpha: float = 0.0,
    l1Ratio: float = 0.0,
    standardization: bool = False,
    fitIntercept: bool = True,
    covType: str = "nonrobust",
    factorization: str = "gram",
    maxIter: int = 100,
    tol: float = 1e-8,
    dropCollinear: bool = False,
    handleInvalid: str = "error",
    weightType: str = "frequency",
    maxCategories: int = 1000,
    confidenceLevel: float = 0.95,
    modelDir: str | None = None,
    overwrite: bool = False,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> LinearModel:
    """Fit a linear model with standard errors, equal to that of the pooled rows, in a few rounds.

    Each round is a Newton step: the silos add up information and score over their rows, and the
    coordinator solves for the step, by the same solver as `LinearRegression`, `LogisticRegression`
    and `GeneralizedLinearModel`. One round before counts rows and takes means, one after it takes
    the log-likelihood. From a silo leave, for p coefficients, ``p (p + 1) / 2 + p`` numbers and a
    few more in each round.

    Parameters
    ----------
    federation : Federation
    family : str, optional
        ``gaussian``, ``binomial``, ``poisson``, ``gamma``, ``negative_binomial`` or ``tweedie``. By
        default a logistic regression for a label of classes (multinomial for more than two), and a
        linear regression for one of numbers.
    link, linkPower, variancePower, overdispersion, offsetCol
        As for `GeneralizedLinearModel`.
    featuresCols : sequence of str, optional
        All features by default.
    alpha, l1Ratio, standardization, fitIntercept, maxIter, tol, dropCollinear, weightType, \
maxCategories, confidenceLevel, modelDir, overwrite
        As for `LinearRegression`.
    covType : str, default="nonrobust"
        ``HC0`` to ``HC3``, or ``cluster``, for which each silo is a cluster.
    factorization : str, default="gram"
        ``"qr"`` for columns that almost depend on each other: silos send triangles, which a secure
        sum does not hide.
    handleInvalid : str, default="error"
        ``skip`` leaves rows with missing values out, ``mean`` fills them with the mean over all
        silos, in one round more.
    minimumCount : int, default=1
        A silo with fewer complete rows than this, or than its own policy asks for, does not answer.
    minimumSilos : int, optional
        Fewest silos that must answer; all of them by default. Where one fails in the middle, the
        fit begins again without it.
    secure : SecureSum, optional
        The coordinator sees sums over silos only. Its ``range`` must hold sums of squares of each
        silo's columns: take ``bits=64``, and a range rather too large than too small.

    Returns
    -------
    LinearRegressionModel, LogisticRegressionModel or GeneralizedLinearRegressionModel
        Its ``summary`` has ``silos``, ``rounds`` and ``failed`` besides.

    Raises
    ------
    ConfigurationError, DataError
        As the fit of the estimator raises, and ``conflicting_params`` for triangles in a secure
        sum.

    References
    ----------
    Wu, Jiang, Kim, Ohno-Machado (2012), "Grid binary logistic regression (GLORE)", Journal of the
    American Medical Informatics Association 19.

    Examples
    --------
    >>> rows = {"north": ([[1.0], [2.0], [3.0]], [2, 4, 7]), "south": ([[4.0], [0.0]], [9, 1])}
    >>> federation = Federation.in_memory(rows, regression=True, names=["dose"])
    >>> found = federated_glm(federation)
    >>> {term: round(value, 4) for term, value in found.coefficients.items()}
    {'(intercept)': 0.4, 'dose': 2.1}
    >>> {term: round(value, 4) for term, value in found.standardErrors.items()}
    {'(intercept)': 0.469, 'dose': 0.1915}
    """
    agreed = AgreedColumns(federation.schema)
    label = agreed.label
    common: dict[str, Any] = {
        "alpha": alpha,
        "l1Ratio": l1Ratio,
        "standardization": standardization,
        "fitIntercept": fitIntercept,
        "covType": covType,
        "factorization": factorization,
        "maxIter": maxIter,
        "tol": tol,
        "dropCollinear": dropCollinear,
        "handleInvalid": handleInvalid,
        "weightType": weightType,
        "maxCategories": maxCategories,
        "confidenceLevel": confidenceLevel,
        "modelDir": modelDir,
        "overwrite": overwrite,
        "labelCol": label.column,
    }
    if factorization != "gram" and secure is not None:
        raise ConfigurationError(
            "conflicting_params",
            f"factorization={factorization!r} needs triangles of each silo, which a secure sum "
            "does not hide.",
            'Use factorization="gram", or leave secure out.',
        )
    classes = not label.is_regression and family in (None, "binomial")
    plain = family in (None, "gaussian") and link in (None, "identity")
    estimator: LinearEstimator
    if classes and link in (None, "logit") and offsetCol is None:
        estimator = LogisticRegression(**common)
    elif plain and offsetCol is None:
        estimator = LinearRegression(**common)
    else:
        estimator = GeneralizedLinearModel(
            family=family or "gaussian",
            link=link,
            linkPower=linkPower,
            variancePower=variancePower,
            overdispersion=overdispersion,
            offsetCol=offsetCol,
            **common,
        )
    minimum = check_minimum(minimumCount)
    if featuresCols is None:
        schema, _ = agreed.chosen(None)
    else:
        wanted = list(featuresCols)
        if offsetCol is not None and offsetCol not in wanted:
            wanted.append(offsetCol)
        schema, _ = agreed.chosen(wanted)
    data = FederatedData(schema, federation.schema, len(federation.names), handleInvalid)
    checked_problem(estimator, data)  # before the first round

    def compute(pool: Pool) -> LinearModel:
        now = FederatedData(schema, federation.schema, len(pool.silos), handleInvalid)
        return fit_over_sums(
            estimator,
            lambda design: FederatedSums(pool, now, design, minimum),
            now,
            form="federated",
            facts=pool.facts,
        )

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def coefficients_and_errors(model: LinearModel) -> dict[str, Any]:
    """Return what a job reports of a model: coefficients and standard errors by term.

    Parameters
    ----------
    model : LinearModel
        Of `federated_glm`.

    Returns
    -------
    dict
        ``coefficients`` and ``standard_errors`` by term, with ``(intercept)``; the latter None with
        a penalty; ``log_likelihood``, ``deviance``, ``aic``, ``rows``, ``silos`` and ``rounds``.
    """
    covered = not model.summary["alpha"]
    return {
        "coefficients": model.coefficients,
        "standard_errors": model.standardErrors if covered else None,
        "log_likelihood": model.logLikelihood,
        "deviance": model.deviance,
        "aic": model.aic,
        "rows": model.summary["rows"],
        "silos": model.summary["silos"],
        "rounds": model.summary["rounds"],
    }
