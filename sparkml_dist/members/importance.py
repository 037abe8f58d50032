"""The members' own feature importances, averaged over an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.members.bank import MemberBank

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["learner_importances", "member_importances"]


def member_importances(spark: SparkSession, bank: MemberBank) -> npt.NDArray[np.float64]:
    """Return the weighted mean of the members' ``feature_importances_``.

    Tasks load the members one at a time. The importances of each member are normalised to a sum of
    1 and assigned to its features; members without any (a constant, or a tree that never split) do
    not count.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    bank : MemberBank

    Returns
    -------
    ndarray of shape (n_features,)
        Non-negative, with sum 1; all 0 if no member ever used a feature.

    Raises
    ------
    ConfigurationError
        ``no_importances`` if no member has them.
    """
    work = partial(_of_member, bank)
    sums = sum_over_shards(spark, len(bank.members), work, description="feature importances")
    if not sums["having"]:
        raise ConfigurationError(
            "no_importances",
            f"No member has feature_importances_; the first is a {type(bank.learner(0)).__name__}.",
            "Use model.permutationImportance(df) with rows that the model was not fitted on.",
        )
    found = sums["importances"]
    return found / found.sum() if found.sum() > 0 else found


def learner_importances(learner: Any, n_features: int) -> npt.NDArray[np.float64] | None:
    """Return the ``feature_importances_`` of a fitted learner for its own features.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
        For a pipeline, the last step's are used if each of its input columns is one of the
        pipeline's columns, possibly scaled or imputed.
    n_features : int
        Number of features that it was fitted on.

    Returns
    -------
    ndarray of shape (n_features,), or None if it has no importances
    """
    from sklearn.pipeline import Pipeline

    names = [f"x{i}" for i in range(n_features)]
    kept: Sequence[str] = names
    if isinstance(learner, NamedLearner) and learner.names is None:
        learner = learner.learner
    if isinstance(learner, BoosterLearner):
        learner = learner.booster
    last = learner
    if isinstance(learner, Pipeline):
        last = learner.steps[-1][1]
        try:
            kept = [str(n) for n in learner[:-1].get_feature_names_out(names)]
        except (AttributeError, ValueError):  # a step without feature names
            return None
    try:
        found = getattr(last, "feature_importances_", None)
    except (AttributeError, NotImplementedError):
        return None
    if found is None or not set(kept) <= set(names) or len(found) != len(kept):
        return None
    place = {name: i for i, name in enumerate(names)}
    importances = np.zeros(n_features)
    importances[[place[name] for name in kept]] = np.asarray(found, dtype=np.float64)
    return importances


def _of_member(bank: MemberBank, index: int) -> Summands:
    """Return a member's importances times its weight, and whether it has any."""
    member = bank.members[index]
    sums = np.zeros(len(bank.feature_names))
    features = list(range(len(sums)) if member.features is None else member.features)
    found = learner_importances(bank.learner(index), len(features))
    if found is not None and math.isfinite(total := found.sum()) and total > 0:
        sums[features] = member.weight * found / total
    return {"importances": sums, "having": found is not None}
