"""The options of a search on the command line, and the estimator that they describe."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.choices import SAMPLERS, SCHEDULERS
from sparkml_dist.cli.estimators import add_learner_options, learner_names, named_learner
from sparkml_dist.cli.options import at_least, fraction, json_object, size
from sparkml_dist.errors import UsageError

if TYPE_CHECKING:
    from sparkml_dist.search import HyperparameterSearch

__all__ = ["add_search_options", "search_of"]

# Options that set a Param to their own value, and that Param.
_PARAMS = {
    "trials": "numTrials",
    "sampler": "sampler",
    "scheduler": "scheduler",
    "resource": "resource",
    "min_resource": "minResource",
    "max_resource": "maxResource",
    "reduction_factor": "reductionFactor",
    "metric": "metric",
    "also": "metrics",
    "folds": "numFolds",
    "validation_fraction": "validationFraction",
    "time_budget": "timeBudget",
    "deterministic": "deterministic",
    "parallelism": "parallelism",
    "trial_timeout": "trialTimeout",
    "trial_memory": "trialMemory",
    "trusted_types": "trustedTypes",
}
_RANGE_KEYS = {"low", "high", "log", "step", "int"}


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the learners, their space and the search."""
    group = parser.add_argument_group("learners")
    group.add_argument(
        "--estimator",
        action="append",
        required=True,
        metavar="DOTTED.PATH",
        help="learner whose parameters are searched; repeat it to search among several",
    )
    group.add_argument(
        "--space",
        action="append",
        type=json_object,
        default=[],
        metavar="JSON",
        help="its space, in the order of the learners: by parameter a list of values, or a range "
        '{"low": 0.01, "high": 1, "log": true} ("int": true for whole numbers)',
    )
    add_learner_options(group)
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group = parser.add_argument_group("search")
    group.add_argument("--trials", type=at_least(1), metavar="N", help="number of trials, at most")
    group.add_argument("--sampler", choices=SAMPLERS, help="how trials are proposed (tpe)")
    group.add_argument("--scheduler", choices=SCHEDULERS, help="which trials go on (asha)")
    group.add_argument(
        "--resource", metavar="NAME", help="shards (default), rows, or a parameter's name"
    )
    group.add_argument("--min-resource", type=at_least(1), metavar="N", help="of the lowest rung")
    group.add_argument("--max-resource", type=at_least(1), metavar="N", help="of the highest rung")
    group.add_argument(
        "--reduction-factor", type=at_least(1, float), metavar="F", help="ratio of rungs (3)"
    )
    group.add_argument("--metric", metavar="NAME", help="score that decides (accuracy, r2)")
    group.add_argument(
        "--also", nargs="+", action="extend", metavar="NAME", help="further scores to report"
    )
    group.add_argument(
        "--max-bytes", type=at_least(1), metavar="N", help="greatest size of the model's learners"
    )
    group.add_argument(
        "--max-milliseconds-per-row",
        type=at_least(0, float),
        metavar="F",
        help="longest prediction of a row",
    )
    group.add_argument("--folds", type=at_least(2), metavar="N", help="folds, in place of one set")
    group.add_argument(
        "--validation-fraction", type=fraction, metavar="F", help="share of rows held out (0.2)"
    )
    group.add_argument(
        "--time-budget", type=at_least(0, float), metavar="S", help="seconds for search and refit"
    )
    group.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="the same search for the same seed at any degree of parallelism",
    )
    group.add_argument(
        "--parallelism", type=at_least(1), metavar="N", help="task slots to use at a time"
    )
    group.add_argument(
        "--trial-timeout", type=at_least(0, float), metavar="S", help="seconds of one fit"
    )
    group.add_argument("--trial-memory", type=size, metavar="SIZE", help="memory of one fit")
    group.add_argument(
        "--ensemble",
        type=at_least(1),
        metavar="N",
        help="choose up to N members of all trials that vote well together, in place of a refit "
        "of the best",
    )


def search_of(args: argparse.Namespace, **run: Any) -> HyperparameterSearch:
    """Return the search that the options of `add_search_options` describe.

    Raises
    ------
    UsageError
        ``usage``.
    ConfigurationError
        As raised by `named_learner`.
    """
    from sparkml_dist.search import HyperparameterSearch

    if len(args.space) > len(args.estimator):
        raise UsageError(
            "usage", f"There are {len(args.space)} --space for {len(args.estimator)} --estimator."
        )
    params = {
        name: getattr(args, option)
        for option, name in _PARAMS.items()
        if getattr(args, option) is not None
    }
    bounds = {"bytes": args.max_bytes, "millisecondsPerRow": args.max_milliseconds_per_row}
    constraints = {name: bound for name, bound in bounds.items() if bound is not None}
    if constraints:
        params["constraints"] = constraints
    if args.ensemble is not None:
        params |= {"refit": "ensemble", "ensembleSize": args.ensemble}
    named: list[tuple[str, Any]] = []
    spaces: dict[str, Any] = {}
    given = [*args.space, *[{}] * (len(args.estimator) - len(args.space))]
    for name, path, space in zip(learner_names(args.estimator), args.estimator, given, strict=True):
        learner = named_learner(
            path,
            {},
            voting="hard",
            impute=args.impute,
            scale=args.scale,
            task="regression" if args.regression else "classification",
        )
        named.append((name, learner))
        prefix = f"{learner.steps[-1][0]}__" if hasattr(learner, "steps") else ""
        spaces[name] = {f"{prefix}{key}": _dimension(key, v) for key, v in space.items()}
    if len(named) == 1:
        return HyperparameterSearch(
            estimator=named[0][1], space=spaces[named[0][0]], **params, **run
        )
    return HyperparameterSearch(
        estimator=named, space={n: s for n, s in spaces.items() if s}, **params, **run
    )


def _dimension(name: str, value: Any) -> Any:
    """Return a list of values, or the distribution that a range describes."""
    if isinstance(value, list):
        return value
    wrong = not isinstance(value, Mapping) or not {"low", "high"} <= value.keys() <= _RANGE_KEYS
    if wrong:
        raise UsageError(
            "usage",
            f"--space gives {name!r} {value!r}: write a list of values, or a range with low and "
            "high.",
            'For example \'{"max_depth": [3, 6], "C": {"low": 0.01, "high": 10, "log": true}}\'.',
        )
    from optuna.distributions import FloatDistribution, IntDistribution

    low, high, log, step = (value.get(k) for k in ("low", "high", "log", "step"))
    try:
        if value.get("int"):
            return IntDistribution(int(low), int(high), log=bool(log), step=int(step or 1))
        return FloatDistribution(float(low), float(high), log=bool(log), step=step)
    except (TypeError, ValueError) as error:
        raise UsageError("usage", f"--space: {name!r}: {error}.") from error
