"""The ensemble options of the command line, and the estimator that they describe."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparkml_dist.cli.estimators import add_learner_options, learner_names, named_learner
from sparkml_dist.cli.options import at_least, fraction, json_object, share_or_count
from sparkml_dist.errors import UsageError
from sparkml_dist.public_names import public_object

__all__ = ["METHODS", "EnsembleChoice", "add_ensemble_options"]


@dataclass(frozen=True)
class Method:
    """An ensemble method.

    Attributes
    ----------
    classifier, regressor : str
        Public names of the estimators; an empty `regressor` where there is none.
    several : bool
        Whether it takes several learners of different kinds.
    weak : bool
        Whether its learners are regressors, for classification too.
    params : dict
        Params that the method's name implies.
    """

    classifier: str
    regressor: str = ""
    several: bool = False
    weak: bool = False
    params: tuple[tuple[str, str], ...] = ()


def _bagging(name: str, regressor: str = "BaggingRegressor") -> Method:
    return Method("BaggingClassifier", regressor, params=(("method", name),))


METHODS: dict[str, Method] = {
    "bagging": _bagging("bagging"),
    "pasting": _bagging("pasting"),
    "subspaces": _bagging("subspaces"),
    "patches": _bagging("patches"),
    "balanced": _bagging("balanced", ""),
    "ivotes": Method("IVotesClassifier"),
    "adaboost": Method("AdaBoostClassifier"),
    "adaboost-pl": Method("AdaBoostPLClassifier"),
    "gradient-boosting": Method(
        "GradientBoostingClassifier",
        "GradientBoostingRegressor",
        weak=True,
    ),
    "stacking": Method("StackingClassifier", "StackingRegressor", several=True),
    "blending": Method("BlendingClassifier", several=True),
    "selection": Method("EnsembleSelectionClassifier", several=True),
    "voting": Method("VotingClassifier", "VotingRegressor", several=True),
}

# Options that set a Param to their own value, and that Param.
_PARAMS = {
    "members": "numMembers",
    "shards_per_member": "shardsPerMember",
    "max_samples": "maxSamples",
    "max_features": "maxFeatures",
    "voting": "voting",
    "oob": "oob",
    "stop_metric": "stopMetric",
    "tol": "tol",
    "patience": "patience",
    "validation_fraction": "validationFraction",
    "learning_rate": "learningRate",
    "loss": "loss",
    "bite_size": "biteSize",
    "folds": "numFolds",
    "passthrough": "passthrough",
    "learn_weights": "learnWeights",
    "trusted_types": "trustedTypes",
}
_TREES = {True: "sklearn.tree.DecisionTreeRegressor", False: "sklearn.tree.DecisionTreeClassifier"}


def add_ensemble_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the ensemble and its learners."""
    group = parser.add_argument_group("learners")
    group.add_argument(
        "--estimator",
        action="append",
        metavar="DOTTED.PATH",
        help="learner of the members; repeat it for several learners of stacking, blending, "
        f"selection and voting (default: {_TREES[False]}, or its regressor)",
    )
    group.add_argument(
        "--estimator-params",
        action="append",
        type=json_object,
        default=[],
        metavar="JSON",
        help="its parameters, e.g. '{\"max_depth\": 5}'; repeated in the order of the learners",
    )
    group.add_argument(
        "--final-estimator",
        metavar="DOTTED.PATH",
        help="learner that combines the others (stacking, blending)",
    )
    group.add_argument(
        "--final-estimator-params", type=json_object, metavar="JSON", help="its parameters"
    )
    add_learner_options(group)
    group = parser.add_argument_group("ensemble (an option that a method does not have is refused)")
    group.add_argument(
        "--method",
        choices=tuple(METHODS),
        default="bagging",
        metavar="METHOD",
        help=f"{', '.join(METHODS)} (default: %(default)s)",
    )
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group.add_argument(
        "--members",
        type=at_least(1),
        metavar="N",
        help="greatest number of members, rounds or stages (default: the method's own)",
    )
    group.add_argument(
        "--shards-per-member", type=at_least(1), metavar="N", help="number of shards of a member"
    )
    group.add_argument(
        "--max-samples",
        type=share_or_count,
        metavar="F|N",
        help="rows of a bag, as a share of its shards (0.5) or a count",
    )
    group.add_argument(
        "--max-features",
        type=share_or_count,
        metavar="F|N",
        help="features of a member, as a share of all (0.5) or a count",
    )
    group.add_argument(
        "--voting", choices=("soft", "hard"), help="mean of probabilities, or majority"
    )
    group.add_argument(
        "--learning-rate", type=at_least(0, float), metavar="F", help="shrinkage of boosting"
    )
    group.add_argument("--loss", metavar="NAME", help="loss of gradient boosting")
    group.add_argument("--bite-size", type=at_least(1), metavar="N", help="rows of a small vote")
    group.add_argument("--folds", type=at_least(2), metavar="N", help="folds of stacking")
    group.add_argument(
        "--passthrough",
        action="store_true",
        default=None,
        help="pass the features to the final learner too",
    )
    group.add_argument(
        "--learn-weights",
        action="store_true",
        default=None,
        help="learn the weight of each learner on held-out rows (voting)",
    )
    group.add_argument(
        "--oob",
        action="store_true",
        default=None,
        help="score every training row with the members that did not train on it",
    )
    group.add_argument(
        "--stop-metric",
        choices=("auc", "log_loss", "accuracy", "rmse", "mae", "r2"),
        help="stop when this score on held-out rows no longer improves",
    )
    group.add_argument(
        "--tol", type=at_least(0, float), metavar="F", help="least improvement that counts"
    )
    group.add_argument(
        "--patience",
        type=at_least(1),
        metavar="N",
        help="checks without improvement before stopping",
    )
    group.add_argument(
        "--validation-fraction",
        type=fraction,
        metavar="F",
        help="share of the rows to hold out for it",
    )
    group.add_argument(
        "--calibrate",
        choices=("sigmoid", "isotonic"),
        help="calibrate the probabilities on held-out rows",
    )


@dataclass(frozen=True)
class EnsembleChoice:
    """A method with its learners and settings, checked as far as possible without data.

    Attributes
    ----------
    kind : type
        Class of the estimator.
    params : dict
        Its Params, without those of the run (seed, folders).
    """

    kind: type[Any]
    params: dict[str, Any]

    @classmethod
    def of(cls, args: argparse.Namespace) -> EnsembleChoice:
        """Return the choice that the options of `add_ensemble_options` describe.

        Raises
        ------
        UsageError
            ``usage`` for options that the method lacks.
        ConfigurationError
            As raised by `named_learner`.
        """
        method = METHODS[args.method]
        kind = _kind(args.method, method, regression=args.regression)
        params = dict(method.params)
        for option, name in _PARAMS.items():
            value = getattr(args, option)
            if value is None:
                continue
            if not hasattr(kind, name):
                raise _not_an_option(args.method, option)
            params[name] = value
        if args.calibrate and args.regression:
            raise UsageError("usage", "--calibrate is for classification, not for --regression.")
        params |= _learners(args, method)
        if args.final_estimator or args.final_estimator_params:
            if not hasattr(kind, "finalEstimator"):
                raise _not_an_option(args.method, "final_estimator")
            default = "sklearn.linear_model." + (
                "Ridge" if args.regression else "LogisticRegression"
            )
            params["finalEstimator"] = named_learner(
                args.final_estimator or default,
                args.final_estimator_params or {},
                task="regression" if args.regression else "classification",
            )
        return cls(kind, params)

    def estimator(self, **run: Any) -> Any:
        """Return the estimator with the Params of this run."""
        return self.kind(**self.params, **run)


def _kind(name: str, method: Method, *, regression: bool) -> type[Any]:
    public = method.regressor if regression else method.classifier
    if not public:
        others = ", ".join(k for k, m in METHODS.items() if m.regressor)
        raise UsageError(
            "usage", f"--method {name} is for classification only.", f"With --regression: {others}."
        )
    found: type[Any] = public_object(public)
    return found


def _not_an_option(method: str, option: str) -> UsageError:
    if option == "members":
        hint = "Leave it out: the members are the learners of --estimator."
    else:
        hint = "See train_ensemble.py --help."
    return UsageError("usage", f"--method {method} has no --{option.replace('_', '-')}.", hint)


def _learners(args: argparse.Namespace, method: Method) -> dict[str, Any]:
    regressors = args.regression or method.weak
    paths: Sequence[str] = args.estimator or [_TREES[regressors]]
    if len(paths) > 1 and not method.several:
        raise UsageError(
            "usage",
            f"--method {args.method} takes one --estimator. Got {len(paths)}.",
            f"Methods with several: {', '.join(k for k, m in METHODS.items() if m.several)}.",
        )
    if len(args.estimator_params) > len(paths):
        raise UsageError(
            "usage",
            f"There are {len(args.estimator_params)} --estimator-params for {len(paths)} "
            "--estimator.",
        )
    params = [*args.estimator_params, *[{}] * (len(paths) - len(args.estimator_params))]
    learners = [
        named_learner(
            path,
            settings,
            voting=args.voting or "soft" if _asks_for_probabilities(args.method) else "hard",
            impute=args.impute,
            scale=args.scale,
            task="regression" if regressors else "classification",
        )
        for path, settings in zip(paths, params, strict=True)
    ]
    if not method.several:
        return {"estimator": learners[0]}
    return {"estimators": list(zip(learner_names(paths), learners, strict=True))}


def _asks_for_probabilities(method: str) -> bool:
    """Return whether members must predict probabilities, unless they vote hard."""
    return method not in ("adaboost", "adaboost-pl", "ivotes", "stacking", "blending")
