"""The options of kernel machines, and the estimator that they describe."""

from __future__ import annotations

import argparse
from typing import Any

from sparkml_dist.cli.choices import CENTER_METHODS, KERNEL_SOLVERS, KERNELS
from sparkml_dist.cli.options import at_least, fraction
from sparkml_dist.errors import UsageError

__all__ = ["METHODS", "add_kernel_options", "is_clustering", "kernel_estimator", "kernel_params"]

#: What is fitted.
METHODS = ("nystroem", "fourier", "gp", "kmeans", "spectral")
_MACHINES, _CLUSTERS = ("nystroem", "fourier"), ("kmeans", "spectral")
# Options that set a Param to their own value, that Param, and the methods that have it.
_PARAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "centers": ("numCenters", METHODS),
    "center_method": ("centerMethod", ("nystroem", "gp", *_CLUSTERS)),
    "kernel": ("kernel", METHODS),
    "length_scale": ("lengthScale", METHODS),
    "nu": ("nu", METHODS),
    "degree": ("degree", METHODS),
    "standardization": ("standardization", METHODS),
    "impute": ("missing", METHODS),
    "fit_intercept": ("fitIntercept", _MACHINES),
    "solver": ("solver", _MACHINES),
    "tol": ("tol", (*_MACHINES, *_CLUSTERS)),
    "max_iter": ("maxIter", (*_MACHINES, *_CLUSTERS)),
    "precision": ("precision", _MACHINES),
    "form": ("form", _MACHINES),
    "validation_fraction": ("validationFraction", (*_MACHINES, "gp")),
    "loss": ("loss", _MACHINES),
    "expert_rows": ("expertRows", ("gp",)),
    "sample_rows": ("sampleRows", ("gp",)),
    "k": ("k", _CLUSTERS),
}


def is_clustering(args: argparse.Namespace) -> bool:
    """Tell whether the method finds clusters, for which the label is a truth to compare with."""
    return args.method in _CLUSTERS


def _scale(text: str) -> float | str:
    if text in ("median", "validation", "evidence"):
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be a number > 0, median, validation or evidence. Got {text!r}"
        ) from None


def add_kernel_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the method, the kernel, the centres and the solver."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--method",
        choices=METHODS,
        default="nystroem",
        help="similarities to centres or random features, with a penalty; a Gaussian process; or "
        "clusters, for which --label, if given, is a truth to compare with (default: nystroem)",
    )
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group.add_argument(
        "--centers",
        type=at_least(1),
        metavar="N",
        help="centres, or random features (default: 256; gp: 500)",
    )
    group.add_argument(
        "--center-method", choices=CENTER_METHODS, help="how centres are chosen (default: uniform)"
    )
    group.add_argument("--kernel", choices=KERNELS, help="kernel (default: rbf)")
    group.add_argument(
        "--length-scale",
        type=_scale,
        metavar="F|WORD",
        help="distance over which similarity fades: a number; median (of the distances between "
        "rows); validation (by held-out rows); evidence, of a gp (default: median; gp: evidence)",
    )
    group.add_argument("--nu", type=float, metavar="F", help="smoothness of matern (default: 1.5)")
    group.add_argument("--degree", type=int, choices=(0, 1), help="order of arccos (default: 1)")
    group.add_argument(
        "--standardization",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="divide features by their standard deviations first (default: yes)",
    )
    group.add_argument(
        "--impute",
        choices=("error", "mean"),
        help="what becomes of missing values (default: error)",
    )
    group = parser.add_argument_group("fit")
    group.add_argument(
        "--alpha",
        type=float,
        nargs="+",
        metavar="F",
        help="penalty; of several the best on held-out rows (default: 1)",
    )
    group.add_argument(
        "--loss", choices=("squared", "logistic"), help="loss for classes (default: squared)"
    )
    group.add_argument(
        "--fit-intercept",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="add a constant without penalty (default: yes)",
    )
    group.add_argument(
        "--solver", choices=KERNEL_SOLVERS, help="of the squared loss (default: auto)"
    )
    group.add_argument("--tol", type=float, metavar="F", help="residual to stop at (default: 1e-6)")
    group.add_argument("--max-iter", type=at_least(1), metavar="N", help="most iterations")
    group.add_argument(
        "--form",
        choices=("auto", "jobs", "gang"),
        help="of cg: a Spark job for each pass, or ranks that keep the rows (default: auto)",
    )
    group.add_argument(
        "--precision", choices=("double", "single"), help="of similarities (default: double)"
    )
    group.add_argument(
        "--validation-fraction",
        type=fraction,
        metavar="F",
        help="share of the training rows held out to choose alpha, or to calibrate a gp "
        "(default: 0.1)",
    )
    group.add_argument(
        "--committee",
        action="store_true",
        help="gp: combine experts on shards, in place of a sparse process",
    )
    group.add_argument(
        "--expert-rows", type=at_least(1), metavar="N", help="rows of an expert (default: 1000)"
    )
    group.add_argument(
        "--sample-rows",
        type=at_least(10),
        metavar="N",
        help="rows for the hyper-parameters of a gp (default: 1000)",
    )
    group.add_argument("--k", type=at_least(1), metavar="N", help="clusters (default: 8)")


def kernel_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the Params that the options set.

    Raises
    ------
    UsageError
        ``usage`` for options without an effect.
    """
    found: dict[str, Any] = {}
    for option, (name, methods) in _PARAMS.items():
        value = getattr(args, option)
        if value is None:
            continue
        if args.method not in methods:
            raise _no_effect(option, args.method, methods)
        found[name] = value
    if args.alpha is not None:
        if args.method not in _MACHINES:
            raise _no_effect("alpha", args.method, _MACHINES)
        found |= {"alpha": args.alpha[0]} if len(args.alpha) == 1 else {"alphas": args.alpha}
    if args.method in _MACHINES:
        found["approximation"] = args.method
    if args.loss is not None and args.regression:
        raise UsageError("usage", "--loss does not go with --regression.", "Leave it out.")
    if args.committee:
        if args.method != "gp":
            raise _no_effect("committee", args.method, ("gp",))
        found["method"] = "committee"
    if args.method == "gp" and not args.regression:
        raise UsageError(
            "usage", "--method gp predicts numbers.", "Add --regression, or take another method."
        )
    if args.method in _CLUSTERS and args.regression:
        raise UsageError("usage", f"--regression does not go with --method {args.method}.")
    return found


def _no_effect(option: str, method: str, methods: tuple[str, ...]) -> UsageError:
    return UsageError(
        "usage",
        f"--{option.replace('_', '-')} does not go with --method {method}.",
        f"It is for --method {', '.join(methods)}.",
    )


def kernel_estimator(args: argparse.Namespace, **more: Any) -> Any:
    """Return the estimator that `args` describe, with the further Params `more`."""
    from sparkml_dist import kernels

    if args.method == "kmeans":
        kind: Any = kernels.KernelKMeans
    elif args.method == "spectral":
        kind = kernels.SpectralClustering
    elif args.method == "gp":
        kind = kernels.GaussianProcess
    else:
        kind = kernels.KernelRidge if args.regression else kernels.KernelClassifier
    return kind(**kernel_params(args), **more)
