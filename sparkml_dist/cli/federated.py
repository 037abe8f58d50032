"""The options of federated training, and what they describe."""

from __future__ import annotations

import argparse
from typing import Any

from sparkml_dist.cli.options import at_least, fraction, json_object, shape
from sparkml_dist.errors import UsageError

__all__ = ["MODELS", "add_federated_options", "check_federated", "federated_estimator", "is_glm"]

#: Trained in rounds of local steps, by a strategy.
_TRAINED = ("logistic", "linear", "perceptron", "fourier", "mlp", "cnn")
#: What is fitted.
MODELS = (*_TRAINED, "bagging", "boosting", "naive-bayes", "glm")
_STRATEGIES = (
    *("fedavg", "fedavgm", "fedprox", "scaffold", "fednova", "fedadam", "fedyogi", "fedadagrad"),
    *("feddyn", "ditto", "clustered"),
)
_AGGREGATIONS = ("mean", "median", "trimmed_mean", "krum", "multi_krum", "bulyan", "norm_clipping")
_FAMILIES = ("gaussian", "binomial", "poisson", "gamma", "negative_binomial", "tweedie")
# Options that set a Param to their own value, that Param, and the models that have it.
_PARAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "strategy": ("strategy", _TRAINED),
    "aggregation": ("aggregation", _TRAINED),
    "local_epochs": ("localEpochs", _TRAINED),
    "local_steps": ("localSteps", _TRAINED),
    "batch_size": ("batchSize", _TRAINED),
    "learning_rate": ("learningRate", (*_TRAINED, "boosting")),
    "participation": ("participation", _TRAINED),
    "input_shape": ("inputShape", ("mlp", "cnn")),
    "weighting": ("weighting", (*_TRAINED, "bagging")),
    "members": ("numMembers", ("bagging",)),
    "max_depth": ("maxDepth", ("boosting",)),
}
_ROUNDS = {"boosting": "numMembers", **dict.fromkeys(_TRAINED, "rounds")}
_SECURE = (*_TRAINED, "boosting", "naive-bayes", "glm")
_ONLY = {"family": "glm", "estimator": "bagging", "estimator_params": "bagging"}
_PRIVACY = ("noise_multiplier", "clip", "delta", "privacy", "max_epsilon")
_positive = at_least(1)


def _above_zero(text: str) -> float:
    value = at_least(0, float)(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a number > 0. Got {text!r}")
    return float(value)


def add_federated_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of silos, model, strategy and privacy."""
    group = parser.add_argument_group("silos")
    group.add_argument(
        "--silo", required=True, metavar="COL", help="column with the silo of each row"
    )
    group.add_argument(
        "--min-silos",
        type=_positive,
        metavar="N",
        help="silos that must answer in every round (default: 1)",
    )
    group.add_argument(
        "--handle-invalid",
        choices=("error", "skip"),
        default="error",
        help="what to do with rows that lack a value of a feature (default: error; boosting and "
        "some learners of bagging take them)",
    )
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        choices=MODELS,
        default="logistic",
        help="trained by steps in the silos (logistic, linear, perceptron, fourier; mlp and cnn "
        "by Keras), members of each silo that vote (bagging), trees from sums of gradients "
        "(boosting), or exact sums (naive-bayes, glm) (default: logistic)",
    )
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group.add_argument(
        "--rounds", type=_positive, metavar="N", help="of training, or of boosting (default: 20)"
    )
    group.add_argument(
        "--family",
        choices=_FAMILIES,
        help="of glm (default: gaussian for --regression, else binomial)",
    )
    group.add_argument(
        "--estimator",
        metavar="NAME",
        help="learner of bagging: a class of scikit-learn (default: a decision tree)",
    )
    group.add_argument(
        "--estimator-params",
        type=json_object,
        metavar="JSON",
        help='parameters of it, such as {"max_depth": 5}',
    )
    group.add_argument(
        "--members", type=_positive, metavar="N", help="of each silo in bagging (default: 1)"
    )
    group.add_argument(
        "--max-depth", type=_positive, metavar="N", help="of trees in boosting (default: 4)"
    )
    group.add_argument(
        "--input-shape",
        type=shape,
        metavar="H,W,C",
        help="of a row for cnn, such as 28,28,1",
    )
    group = parser.add_argument_group("training in the silos")
    group.add_argument(
        "--strategy", choices=_STRATEGIES, help="how updates become a model (default: fedavg)"
    )
    group.add_argument(
        "--aggregation", choices=_AGGREGATIONS, help="mean, or a robust one (default: mean)"
    )
    group.add_argument(
        "--local-epochs", type=_positive, metavar="N", help="passes over a silo's rows in a round"
    )
    group.add_argument(
        "--local-steps", type=_positive, metavar="N", help="steps in a round, in place of epochs"
    )
    group.add_argument("--batch-size", type=_positive, metavar="N", help="rows of a step")
    group.add_argument("--learning-rate", type=_above_zero, metavar="F")
    group.add_argument(
        "--participation",
        type=_share,
        metavar="F",
        help="share of the silos that are asked in a round (default: 1)",
    )
    group.add_argument(
        "--weighting",
        choices=("rows", "equal"),
        help="whether silos count by their rows (default: rows)",
    )
    group = parser.add_argument_group("privacy")
    group.add_argument(
        "--secure",
        action="store_true",
        help="add up securely: the coordinator sees no silo's own sums or updates",
    )
    group.add_argument(
        "--privacy",
        choices=("silo", "record"),
        help="whose presence noise hides, with --noise-multiplier (default: record)",
    )
    group.add_argument(
        "--noise-multiplier",
        type=_above_zero,
        metavar="F",
        help="standard deviation of the noise, by the norm that updates are clipped to; features "
        "are not standardized then",
    )
    group.add_argument(
        "--clip", type=_above_zero, metavar="F", help="largest norm of a gradient, or an update"
    )
    group.add_argument(
        "--delta", type=fraction, metavar="F", help="of the reported epsilon (default: 1e-5)"
    )
    group.add_argument(
        "--max-epsilon",
        type=_above_zero,
        metavar="F",
        help="privacy loss before which the training ends",
    )


def _share(text: str) -> float:
    return 1.0 if text in ("1", "1.0") else fraction(text)


def is_glm(args: argparse.Namespace) -> bool:
    """Tell whether the model is fitted by exact sums and has standard errors."""
    return bool(args.model == "glm")


def check_federated(args: argparse.Namespace) -> None:
    """Raise for options without an effect, before anything runs.

    Raises
    ------
    UsageError
        ``usage``.
    """
    for option, (_, models) in _PARAMS.items():
        if getattr(args, option) is not None and args.model not in models:
            raise _no_effect(option, args.model, models)
    for option, only in (
        ("family", "glm"),
        ("estimator", "bagging"),
        ("estimator_params", "bagging"),
    ):
        if getattr(args, option) is not None and args.model != only:
            raise _no_effect(option, args.model, (only,))
    if args.rounds is not None and args.model not in _ROUNDS:
        raise _no_effect("rounds", args.model, tuple(_ROUNDS))
    if args.secure and args.model not in _SECURE:
        raise _no_effect("secure", args.model, _SECURE)
    given = [name for name in _PRIVACY if getattr(args, name) is not None]
    if given and args.model not in _TRAINED:
        raise _no_effect(given[0], args.model, _TRAINED)
    if given and args.noise_multiplier is None:
        raise UsageError(
            "usage", f"--{given[0].replace('_', '-')} has no effect without --noise-multiplier."
        )
    if args.noise_multiplier is not None and args.clip is None:
        raise UsageError(
            "usage", "--noise-multiplier needs --clip.", "Add --clip 1.0, for example."
        )
    if args.model == "logistic" and args.regression:
        raise UsageError("usage", "--model logistic predicts classes.", "Take --model linear.")
    if args.model == "linear" and not args.regression:
        raise UsageError("usage", "--model linear predicts numbers.", "Add --regression.")
    if args.model == "naive-bayes" and args.regression:
        raise UsageError("usage", "--model naive-bayes predicts classes.")
    if args.shards_from is not None:
        raise UsageError("usage", "--shards-from has no effect: silos have shards of their own.")
    if args.family is not None and args.regression == (args.family == "binomial"):
        raise UsageError(
            "usage",
            f"--family {args.family} is for {'classes' if args.regression else 'numbers'}.",
            "Leave --regression out." if args.regression else "Add --regression.",
        )


def _no_effect(option: str, model: str, models: tuple[str, ...]) -> UsageError:
    return UsageError(
        "usage",
        f"--{option.replace('_', '-')} does not go with --model {model}.",
        f"It is for --model {', '.join(models)}.",
    )


def federated_estimator(args: argparse.Namespace, **more: Any) -> Any:
    """Return the estimator that `args` describe, with the further Params `more`."""
    from sparkml_dist import federated

    given = {p: getattr(args, o) for o, (p, _) in _PARAMS.items() if getattr(args, o) is not None}
    if args.rounds is not None:
        given[_ROUNDS[args.model]] = args.rounds
    if args.min_silos is not None:
        given["minSilos"] = args.min_silos
    given |= more
    kind = "Regressor" if args.regression else "Classifier"
    if args.model == "bagging":
        return getattr(federated, f"FederatedBagging{kind}")(estimator=_learner(args), **given)
    if args.secure:
        given["secure"] = True
    if args.model == "boosting":
        return getattr(federated, f"FederatedBoosting{kind}")(**given)
    if args.model == "naive-bayes":
        return federated.FederatedNaiveBayes(**given)
    for option, name in (
        ("noise_multiplier", "noiseMultiplier"),
        ("clip", "clipNorm"),
        ("delta", "delta"),
        ("privacy", "privacyUnit"),
        ("max_epsilon", "maxEpsilon"),
    ):
        if getattr(args, option) is not None:
            given[name] = getattr(args, option)
    if args.noise_multiplier is not None:
        given["standardization"] = False  # it would take means out of the silos without noise
    from sparkml_dist.federated.estimators.federated_classifier import FederatedClassifier
    from sparkml_dist.federated.estimators.federated_regressor import FederatedRegressor

    made: Any = FederatedRegressor if args.regression else FederatedClassifier
    return made(model=args.model, **given)


def _learner(args: argparse.Namespace) -> Any:
    from sparkml_dist.learners.learner import learner_from_path

    default = "DecisionTreeRegressor" if args.regression else "DecisionTreeClassifier"
    return learner_from_path(
        args.estimator or default,
        args.estimator_params,
        task="regression" if args.regression else "classification",
    )
