"""Feature importances that members have of themselves, averaged over an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.ensemble.bank import MemberBank
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["learner_importances", "member_importances"]


def member_importances(spark: SparkSession, bank: MemberBank) -> npt.NDArray[np.float64]:
    """Return the weighted mean of the members' ``feature_importances_``.

    Members are loaded one at a time, in tasks. Each one's importances are brought to the sum of 1
    and put where its features stand among all; those of members without any (a constant, or a
    tree that never split) do not count.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    bank : MemberBank

    Returns
    -------
    ndarray of shape (n_features,)
        Not negative, with the sum of 1; all 0 where no member ever used a feature.

    Raises
    ------
    ConfigurationError
        ``no_importances`` where no member has them.
    """
    total = len(bank.members)
    chunks = min(total, SessionInfo.of(spark).slots or 1)
    task = _Summing(bank, tuple(tuple(range(c, total, chunks)) for c in range(chunks)))
    sums, without, having = np.zeros(len(bank.feature_names)), set(), 0
    for outcome in run_tasks(spark, range(chunks), task, description="feature importances"):
        if outcome.error:
            raise outcome.error
        sums[outcome.result["features"]] += outcome.result["sums"]
        without |= set(outcome.result["without"])
        having += outcome.result["having"]
    if not having:
        raise ConfigurationError(
            "no_importances",
            f"No member has feature_importances_ ({', '.join(sorted(without))}).",
            "Use model.permutationImportance(df) with rows that the model was not fitted on.",
        )
    return sums / sums.sum() if sums.sum() > 0 else sums


def learner_importances(learner: Any, n_features: int) -> npt.NDArray[np.float64] | None:
    """Return the ``feature_importances_`` of a fitted learner for its own features.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
        The last step of a pipeline counts if every column that it was given is one of the
        pipeline's, or a scaled or filled one.
    n_features : int
        Features that it was fitted on.

    Returns
    -------
    ndarray of shape (n_features,), or None where it has none
    """
    from sklearn.pipeline import Pipeline

    names = [f"x{i}" for i in range(n_features)]
    kept: Sequence[str] = names
    last = learner
    if isinstance(learner, Pipeline):
        last = learner.steps[-1][1]
        try:
            kept = [str(n) for n in learner[:-1].get_feature_names_out(names)]
        except (AttributeError, ValueError):  # a step that does not tell
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


@dataclass(frozen=True)
class _Summing:
    """Adds up the importances of some of the members, in one task."""

    bank: MemberBank
    chunks: tuple[tuple[int, ...], ...]

    def __call__(self, chunk: int) -> dict[str, Any]:
        sums = np.zeros(len(self.bank.feature_names))
        without, having = set(), 0
        for index in self.chunks[chunk]:
            member = self.bank.members[index]
            learner = self.bank.learner(index)
            features = range(len(sums)) if member.features is None else member.features
            found = learner_importances(learner, len(features))
            if found is None:
                without.add(type(learner).__name__)
                continue
            having += 1
            if math.isfinite(total := found.sum()) and total > 0:
                sums[list(features)] += member.weight * found / total
        used = np.flatnonzero(sums)
        return {
            "features": used.tolist(),
            "sums": sums[used].tolist(),
            "without": sorted(without),
            "having": having,
        }
