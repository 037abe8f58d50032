"""Ensembles of independent members: planned, fitted in tasks, committed, resumed."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.engine import Engine, member_files
from sparkml_dist.members.ensemble_model import EnsembleModel, voting_content
from sparkml_dist.members.learner_params import LearnerParams, check_learner, learner_plan
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Ensemble", "EnsembleClassifier", "EnsembleRegressor"]


class Ensemble(LearnerParams):
    """Base of the ensembles whose members are fitted independently of each other."""

    shardsPerMember: Any = param(
        "shardsPerMember", "shards that each member learns from (>= 1)", TypeConverters.toInt
    )

    @abstractmethod
    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        """Return the plan of each member."""

    def _member_weights(self, plans: Sequence[MemberPlan]) -> list[float]:
        return [1.0] * len(plans)

    def _check_params(self, spark: SparkSession) -> None:
        if self.getOrDefault(self.shardsPerMember) < 1:
            raise ConfigurationError(
                "invalid_param",
                f"shardsPerMember must be >= 1. Got {self.getOrDefault(self.shardsPerMember)}.",
            )
        super()._check_params(spark)

    def _check_data(self, data: PartitionedDataset) -> None:
        per_member = self.getOrDefault(self.shardsPerMember)
        if per_member > len(data.shards):
            raise ConfigurationError(
                "invalid_param",
                f"shardsPerMember={per_member}, but the data has {len(data.shards)} shards.",
                "Make more shards, or use fewer per member.",
            )
        for known in self._known(data):
            check_learner(known.traits, data, shards=per_member)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        plans = self._member_plans(data)
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "learners": [learner_plan(x) for x in self._learners()],
            "members": len(plans),
            "shardsPerMember": self.getOrDefault(self.shardsPerMember),
            "sampling": [repr(s) for s in dict.fromkeys(p.sampling for p in plans)],
            "without": [repr(s) for s in dict.fromkeys(p.without for p in plans)],
            "seed": self.getOrDefault(self.seed),
        }

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> EnsembleModel:
        start = time.perf_counter()
        plans = self._member_plans(data)
        engine = Engine(
            spark,
            data,
            folder,
            self._known(data),
            plans,
            self.getOrDefault(self.seed),
            self._trusted(),
        )
        records, more = self._fit_members(engine)
        weights = self._member_weights([plans[r["member"]] for r in records])
        summary = member_summary(records) | {"fitted_now": engine.fitted} | more
        summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        model: EnsembleModel = self._model_class(
            folder,
            data.schema,
            data.manifest.label,
            member_files(folder, records),
            voting_content(records, weights, self._voting()),
            summary,
        )
        model.trusted = self._trusted()
        self._after_fit(spark, data, model)
        return model

    def _fit_members(self, engine: Engine) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Fit members; return the records of those in the model, and entries for the summary."""
        return engine.fit(), {}

    def _after_fit(self, spark: SparkSession, data: PartitionedDataset, model: Any) -> None:
        """Extend the fitted model, whose files and summary may change, using the shards."""


class EnsembleClassifier(Ensemble, ShardClassifier):
    """Base of the ensembles of classifiers."""

    voting: Any = param(
        "voting", "'soft' (mean of probabilities) or 'hard' (majority)", TypeConverters.toString
    )

    def _voting(self) -> str:
        voting: str = self.getOrDefault(self.voting)
        return voting

    def _check_params(self, spark: SparkSession) -> None:
        if self._voting() not in ("soft", "hard"):
            raise ConfigurationError(
                "invalid_param", f"voting must be 'soft' or 'hard'. Got {self._voting()!r}."
            )
        super()._check_params(spark)


class EnsembleRegressor(Ensemble, ShardRegressor):
    """Base of the ensembles of regressors."""


_SUMMARY_FIELDS = (
    "member",
    "learner",
    "shards",
    "rows",
    "bag_rows",
    "seconds",
    "task_seconds",
    "block_bytes",
    "base_rss",
    "peak_rss",
    "warnings",
)


def member_summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how the members' fits went, for a model's summary."""
    return {
        "members": [{k: v for k, v in r.items() if k in _SUMMARY_FIELDS} for r in records],
        **fit_totals(records),
    }


def fit_totals(records: Sequence[dict[str, Any]], predict_seconds: float = 0.0) -> dict[str, Any]:
    """Return the cost of a fit over all members, including those that the model does not keep.

    Parameters
    ----------
    records : sequence of dict
    predict_seconds : float
        Seconds that the members took to predict rows during the fit.
    """
    return {
        "seconds": {
            "member_fit": round(sum(r["seconds"] for r in records), 3),
            "member_predict": round(predict_seconds, 3),
        },
        "peak_worker_rss_mb": round(max(r["peak_rss"] for r in records) / 2**20, 1),
    }
