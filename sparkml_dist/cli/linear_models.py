"""The options of linear models, and the estimator that they describe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.options import at_least, fraction
from sparkml_dist.errors import UsageError

if TYPE_CHECKING:
    from sparkml_dist.statistics.linear_estimator import LinearEstimator

__all__ = ["add_linear_options", "is_regression", "linear_estimator", "linear_params"]

_FAMILIES = (
    "gaussian",
    "binomial",
    "multinomial",
    "poisson",
    "gamma",
    "negative-binomial",
    "tweedie",
)
# Options that set a Param to their own value, and that Param.
_PARAMS = {
    "alpha": "alpha",
    "l1_ratio": "l1Ratio",
    "alphas": "alphas",
    "folds": "numFolds",
    "standardization": "standardization",
    "intercept": "fitIntercept",
    "solver": "solver",
    "factorization": "factorization",
    "max_iter": "maxIter",
    "tol": "tol",
    "drop_collinear": "dropCollinear",
    "handle_invalid": "handleInvalid",
    "weight_type": "weightType",
    "max_categories": "maxCategories",
    "confidence_level": "confidenceLevel",
    "form": "form",
    "ranks": "numRanks",
}
# Those of `GeneralizedLinearModel` alone.
_GLM_PARAMS = {
    "link": "link",
    "link_power": "linkPower",
    "variance_power": "variancePower",
    "overdispersion": "overdispersion",
    "offset": "offsetCol",
}
_number = at_least(0, float)
_positive = at_least(1)


def add_linear_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the family, the penalty, the standard errors and the solver."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--family",
        choices=_FAMILIES,
        default="gaussian",
        help="distribution of the label (default: gaussian); binomial and multinomial take classes "
        "of any kind",
    )
    group.add_argument(
        "--link",
        choices=(
            *("identity", "log", "logit", "probit", "cloglog"),
            *("inverse", "inverse_squared", "sqrt", "power"),
        ),
        help="function that turns means into linear predictors (default: the family's own)",
    )
    group.add_argument("--link-power", type=float, metavar="F", help="exponent of --link power")
    group.add_argument(
        "--variance-power", type=float, metavar="F", help="of tweedie (default: 1.5)"
    )
    group.add_argument(
        "--overdispersion", type=float, metavar="F", help="of negative-binomial (default: estimate)"
    )
    group.add_argument(
        "--offset", metavar="COL", help="column that is added to the linear predictor"
    )
    group.add_argument(
        "--intercept",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether there is an intercept (default: yes)",
    )
    group.add_argument(
        "--robust",
        choices=("hc0", "hc1", "hc2", "hc3", "cluster"),
        help="standard errors that do not trust the family's variance; cluster: dependent rows of "
        "one --key",
    )
    group.add_argument(
        "--confidence-level", type=fraction, metavar="F", help="of intervals (default: 0.95)"
    )
    group.add_argument(
        "--weight-type",
        choices=("frequency", "precision"),
        help="whether a --weight counts rows or divides the variance (default: frequency)",
    )
    group = parser.add_argument_group("penalty (none by default)")
    group.add_argument("--alpha", type=_number, metavar="F", help="strength (default: 0)")
    group.add_argument(
        "--l1-ratio", type=float, metavar="F", help="0: ridge, 1: lasso (default: 0)"
    )
    group.add_argument(
        "--alphas",
        nargs="+",
        type=_number,
        metavar="F",
        help="strengths of which cross-validation chooses one",
    )
    group.add_argument(
        "--folds", type=at_least(2), metavar="N", help="of the cross-validation (default: 5)"
    )
    group.add_argument(
        "--standardization",
        action="store_true",
        default=None,
        help="penalize columns as if their standard deviation were 1",
    )
    group = parser.add_argument_group("columns and solver")
    group.add_argument(
        "--drop-collinear",
        action="store_true",
        default=None,
        help="leave out columns that are linear combinations of others",
    )
    group.add_argument(
        "--handle-invalid",
        choices=("error", "skip", "mean"),
        help="what to do with missing values of features (default: error)",
    )
    group.add_argument(
        "--max-categories", type=at_least(2), metavar="N", help="of a column (default: 1000)"
    )
    group.add_argument(
        "--solver",
        choices=("auto", "newton", "lbfgs", "newton-cg", "fista", "admm"),
        help="(default: by the number of columns and the penalty)",
    )
    group.add_argument(
        "--factorization",
        choices=("auto", "gram", "qr"),
        help="qr is for columns that almost depend on each other (default: by their condition)",
    )
    group.add_argument(
        "--max-iter", type=_positive, metavar="N", help="most iterations (default: 100)"
    )
    group.add_argument("--tol", type=fraction, metavar="F", help="of the solver (default: 1e-8)")
    group.add_argument(
        "--form",
        choices=("auto", "jobs", "gang"),
        help="a Spark job for each pass over the rows, or ranks that keep them in memory",
    )
    group.add_argument(
        "--ranks", type=_positive, metavar="N", help="of a gang (default: all task slots)"
    )


def is_regression(args: argparse.Namespace) -> bool:
    """Return whether the label is a number to the model, and not a class."""
    return not _is_logistic(args)


def _is_logistic(args: argparse.Namespace) -> bool:
    plain = args.link in (None, "logit") and args.offset is None
    return args.family == "multinomial" or (args.family == "binomial" and plain)


def linear_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the Params that the options set.

    Raises
    ------
    UsageError
        ``usage`` for options without an effect.
    """
    found = {p: getattr(args, o) for o, p in _PARAMS.items() if getattr(args, o) is not None}
    given = {p: getattr(args, o) for o, p in _GLM_PARAMS.items() if getattr(args, o) is not None}
    needs = {
        "link_power": args.link == "power",
        "variance_power": args.family == "tweedie",
        "overdispersion": args.family == "negative-binomial",
    }
    for option, fits in needs.items():
        if getattr(args, option) is not None and not fits:
            raise UsageError(
                "usage", f"--{option.replace('_', '-')} has no effect with these options."
            )
    if args.family == "multinomial" and given:
        raise UsageError("usage", "--family multinomial has neither --link nor --offset.")
    if args.robust == "cluster" and args.key is None:
        raise UsageError("usage", "--robust cluster needs --key, the column of clusters.")
    if args.folds is not None and args.alphas is None:
        raise UsageError("usage", "--folds needs --alphas.")
    if args.robust:
        found["covType"] = args.robust if args.robust == "cluster" else args.robust.upper()
    if not (_is_logistic(args) or _is_linear(args)):
        found |= {"family": args.family.replace("-", "_"), **given}
    return found


def _is_linear(args: argparse.Namespace) -> bool:
    return args.family == "gaussian" and args.link in (None, "identity") and args.offset is None


def linear_estimator(args: argparse.Namespace, **more: Any) -> LinearEstimator:
    """Return the estimator that `args` describe, with the further Params `more`."""
    from sparkml_dist import statistics

    kind: Any = statistics.GeneralizedLinearModel
    if _is_logistic(args):
        kind = statistics.LogisticRegression
    elif _is_linear(args):
        kind = statistics.LinearRegression
    found: LinearEstimator = kind(**linear_params(args), **more)
    return found
