"""Ensembles of independent members: planned, fitted in tasks, committed, resumed."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.ensemble.dry_fit import Candidate, dry_fit
from sparkml_dist.ensemble.engine import Engine, member_files
from sparkml_dist.ensemble.ensemble_model import EnsembleModel, voting_content
from sparkml_dist.ensemble.known_learner import KnownLearner
from sparkml_dist.ensemble.learner import Traits, refuse_unusable
from sparkml_dist.ensemble.member import MemberPlan
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.session import get_session, trusted_in_session
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Ensemble", "EnsembleClassifier", "EnsembleRegressor", "LearnerParams"]

# Largest sparse shard that is made dense for a learner without support for sparse matrices.
_MAX_DENSIFIED_BYTES = 1 << 30


class LearnerParams(ShardEstimator):
    """Base of the estimators that take scikit-learn learners."""

    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain in addition to the allow-list",
        TypeConverters.toListString,
    )

    _model_class: ClassVar[type[Any]]

    @abstractmethod
    def _learners(self) -> list[Any]:
        """Return the unfitted learners that members are copies of."""

    def _voting(self) -> str:
        """Return how members are combined: ``"soft"``, ``"hard"`` or ``"mean"``."""
        return "mean" if self._task == "regression" else "soft"

    def _check_params(self, spark: SparkSession) -> None:
        for learner in self._learners():
            refuse_unusable(learner, voting=self._voting(), task=self._task)

    def _check_data(self, data: PartitionedDataset) -> None:
        for known in self._known(data):
            check_learner(known.traits, data)

    def _trusted(self) -> tuple[str, ...]:
        """Return the types that members may contain in addition to the allow-list."""
        return (*self.getOrDefault(self.trustedTypes), *trusted_in_session())

    def _candidates(self, data: PartitionedDataset) -> list[Candidate]:
        """Return the candidates of the dry fit, the learners first."""
        classes = data.manifest.label.classes
        return [Candidate(KnownLearner.of(x, data.schema, classes)) for x in self._learners()]

    def _known(self, data: PartitionedDataset) -> list[KnownLearner]:
        """Return the learners, and the other candidates, as described by a dry fit."""
        return dry_fit(get_session(), data, self._candidates(data), self._trusted())

    def _shard_memory(self) -> int | str | None:
        given = super()._shard_memory()
        wide = any(Traits.of(x).dtype == "float64" for x in self._learners())
        if not wide or self.isSet(self.numShards):
            return given
        # A float64 block is twice as large as the float32 block that shards are sized for.
        return parse_size(given or DEFAULT_MEMORY_PER_TASK) // 2

    def _save_object(self, folder: Folder, name: str) -> None:
        """Write the learners as skops files; see `_object_params`."""
        for i, learner in enumerate(self._learners()):
            content = dump_learner(learner, trusted=self._trusted())
            folder.write_bytes(f"learner-{i:05d}.skops", content)

    def _stored_learners(self, saved: Saved) -> list[Any]:
        return [
            load_learner(saved.read_bytes(name), saved.folder.uri(name), trusted=saved.trusted)
            for name in saved.names(head="learner-", suffix=".skops")
        ]


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


def learner_plan(learner: Any) -> dict[str, Any]:
    """Return what identifies a learner in the plan of a fit."""
    params = {k: repr(v) for k, v in sorted(learner.get_params(deep=True).items())}
    return {"type": type(learner).__name__, "params": params}


def check_learner(traits: Traits, data: PartitionedDataset, *, shards: int = 1) -> None:
    """Raise if a learner cannot learn from a data set, judging by the manifest alone.

    Parameters
    ----------
    traits : Traits
        Of the learner.
    data : PartitionedDataset
    shards : int, default=1
        How many shards it learns from at once.

    Raises
    ------
    ConfigurationError
        ``sparse_not_supported``.
    """
    largest = max(s.rows for s in data.shards) * data.n_features * 4 * shards
    if data.layout == "sparse" and not traits.allows_sparse and largest > _MAX_DENSIFIED_BYTES:
        raise ConfigurationError(
            "sparse_not_supported",
            f"{traits.name} does not accept sparse matrices, and a shard made dense would need "
            f"{largest / 2**20:,.0f} MiB.",
            "Use a learner that accepts sparse input, or make more shards.",
        )
