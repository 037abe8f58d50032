"""The learner that a command line names by its dotted path."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkml_dist.dataset.columns import Task

__all__ = ["add_learner_options", "learner_names", "named_learner"]


def add_learner_options(group: argparse._ArgumentGroup) -> None:
    """Add the options of what goes before each learner, and of types to trust."""
    group.add_argument(
        "--impute",
        choices=("mean", "median", "most_frequent"),
        help="impute missing values before each learner, for learners that do not accept them",
    )
    group.add_argument(
        "--scale",
        action="store_true",
        help="divide features by their standard deviation before each learner",
    )
    group.add_argument(
        "--trusted-types",
        nargs="+",
        action="extend",
        metavar="TYPE",
        help="types outside the allow-list that members may contain",
    )


def learner_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each dotted path: its last part, numbered where it comes again."""
    names: list[str] = []
    for path in paths:
        name = path.rpartition(".")[2]
        same = sum(n.split("-")[0] == name for n in names)
        names.append(f"{name}-{same + 1}" if same else name)
    return names


def named_learner(
    path: str,
    params: dict[str, Any],
    *,
    voting: str = "soft",
    impute: str | None = None,
    scale: bool = False,
    task: Task = "classification",
) -> Any:
    """Return the learner of a dotted path, in a pipeline with an imputer and a scaler if asked for.

    Parameters
    ----------
    path : str
        For example ``sklearn.linear_model.LogisticRegression``.
    params : dict
        Its parameters.
    voting : {"soft", "hard"}, default="soft"
        With "soft", the learner must predict probabilities.
    impute : {"mean", "median", "most_frequent"}, optional
        Statistic of the training rows of each learner that replaces missing values.
    scale : bool, default=False
        Whether to divide each feature by its standard deviation (sparse data stays sparse).
    task : {"classification", "regression"}, default="classification"

    Returns
    -------
    scikit-learn estimator
        A pipeline where there is an imputer or a scaler.

    Raises
    ------
    ConfigurationError
        ``unknown_estimator``, ``not_an_estimator``, ``unknown_estimator_parameter``, and those that
        `refuse_unusable` raises.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sparkml_dist.learners.learner import learner_from_path, refuse_unusable

    learner = learner_from_path(path, params, task=task)
    refuse_unusable(learner, voting=voting, task=task)
    before: list[Any] = []
    if impute:
        before.append(SimpleImputer(strategy=impute, keep_empty_features=True))
    if scale:
        before.append(StandardScaler(with_mean=False))
    return make_pipeline(*before, learner) if before else learner
