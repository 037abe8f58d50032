"""Ensembles of independent members: planned, fitted in tasks, committed, resumed."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.classifier import ShardClassifier
from sparkml_dist.cluster.tasks import TaskOutcome, run_tasks
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import SPARK_TYPES
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.combiner import Combiner, StoredMember
from sparkml_dist.ensemble.learner import Traits, refuse_unusable
from sparkml_dist.ensemble.member import MEMBERS, MemberFit, MemberPlan, committed_members
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.scoring import check_feature_columns, loaded
from sparkml_dist.session import SessionInfo, check_workers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["EnsembleClassificationModel", "EnsembleClassifier"]

_logger = logging.getLogger(__name__)

# A sparse shard is made dense for a learner that takes no sparse matrices up to this size.
_MAX_DENSIFIED_BYTES = 1 << 30


class EnsembleClassifier(ShardClassifier):
    """Base of the ensembles whose members are fitted independently of each other."""

    voting: Any = param(
        "voting", "'soft' (mean of probabilities) or 'hard' (majority)", TypeConverters.toString
    )
    shardsPerMember: Any = param(
        "shardsPerMember", "shards that each member learns from (>= 1)", TypeConverters.toInt
    )
    trustedTypes: Any = param(
        "trustedTypes",
        "dotted names of types that members may contain beside the allow-list",
        TypeConverters.toListString,
    )

    _model_class: ClassVar[type[EnsembleClassificationModel]]

    _defaults: ClassVar[dict[str, Any]] = {
        "voting": "soft",
        "shardsPerMember": 1,
        "trustedTypes": [],
    }

    @abstractmethod
    def _learners(self) -> list[Any]:
        """Return the unfitted learners that members are made of."""

    @abstractmethod
    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        """Return what decides each member."""

    def _member_weights(self, plans: Sequence[MemberPlan]) -> list[float]:
        return [1.0] * len(plans)

    def _check_params(self, spark: SparkSession) -> None:
        voting = self.getOrDefault(self.voting)
        if voting not in ("soft", "hard"):
            raise ConfigurationError(
                "invalid_voting", f"voting must be 'soft' or 'hard'. Got {voting!r}."
            )
        if self.getOrDefault(self.shardsPerMember) < 1:
            raise ConfigurationError(
                "invalid_shards_per_member",
                f"shardsPerMember must be >= 1. Got {self.getOrDefault(self.shardsPerMember)}.",
            )
        for learner in self._learners():
            refuse_unusable(learner, voting=voting)

    def _check_data(self, data: PartitionedDataset) -> None:
        per_member = self.getOrDefault(self.shardsPerMember)
        if per_member > len(data.shards):
            raise ConfigurationError(
                "invalid_shards_per_member",
                f"shardsPerMember={per_member}, but the data has {len(data.shards)} shards.",
                "Cut it into more shards, or ask for fewer per member.",
            )
        names = data.feature_names
        for learner in self._learners():
            traits = Traits.of(learner)
            if data.manifest.missing_features and not traits.allows_missing:
                missing = [names[i] for i in data.manifest.missing_features]
                shown = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
                raise DataError(
                    "missing_values",
                    f"{traits.name} does not take missing values, which are in {len(missing)} "
                    f"feature(s): {shown}.",
                    "Put an imputer before it: make_pipeline(SimpleImputer(), learner); --impute.",
                )
            largest = max(s.rows for s in data.shards) * data.n_features * 4 * per_member
            sparse = data.layout == "sparse" and not traits.allows_sparse
            if sparse and largest > _MAX_DENSIFIED_BYTES:
                raise ConfigurationError(
                    "sparse_not_supported",
                    f"{traits.name} takes no sparse matrices, and a shard made dense would need "
                    f"{largest / 2**20:,.0f} MiB.",
                    "Use a learner that takes sparse input, or cut the data into more shards.",
                )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        plans = self._member_plans(data)
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "learners": [
                {"type": type(x).__name__, "params": _json_params(x)} for x in self._learners()
            ],
            "members": len(plans),
            "shardsPerMember": self.getOrDefault(self.shardsPerMember),
            "sampling": [repr(s) for s in dict.fromkeys(p.sampling for p in plans)],
            "seed": self.getOrDefault(self.seed),
        }

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> EnsembleClassificationModel:
        start = time.perf_counter()
        check_workers(spark, [type(x).__module__.split(".")[0] for x in self._learners()])
        plans = self._member_plans(data)
        done = committed_members(folder)
        missing = [p.index for p in plans if p.index not in done]
        if done:
            _logger.info("%d of %d members are committed already", len(done), len(plans))
        info = SessionInfo.of(spark)
        fit = MemberFit(
            data,
            folder,
            tuple(self._learners()),
            tuple(plans),
            self.getOrDefault(self.seed),
            tuple(self.getOrDefault(self.trustedTypes)),
            info.task_cpus,
        )
        home = folder.child(MEMBERS)
        outcomes = run_tasks(
            spark,
            missing,
            fit,
            description=f"fit {len(missing)} members",
            count=lambda: len(home.names(".json")) - len(done),
        )
        _raise_failures(outcomes, plans)
        records = done | {o.index: o.result for o in outcomes}
        ordered = [records[p.index] for p in plans]
        weights = self._member_weights(plans)
        files = [ModelFile(r["file"], r["bytes"], r["sha256"]) for r in ordered]
        files += [ModelFile.of(folder, f"{MEMBERS}/{p.stem}.json") for p in plans]
        members = [
            {**{k: r[k] for k in _SCORING_FIELDS}, "weight": w}
            for r, w in zip(ordered, weights, strict=True)
        ]
        summary = {
            "members": [{k: v for k, v in r.items() if k in _SUMMARY_FIELDS} for r in ordered],
            "fitted_now": len(missing),
            "seconds": {
                "fit": round(time.perf_counter() - start, 3),
                "member_fit": round(sum(r["seconds"] for r in ordered), 3),
            },
            "peak_worker_rss_mb": round(max(r["peak_rss"] for r in ordered) / 2**20, 1),
        }
        model = self._model_class(
            folder,
            data.schema,
            data.manifest.label,
            files,
            {"voting": self.getOrDefault(self.voting), "members": members},
            summary,
        )
        model.trusted = tuple(self.getOrDefault(self.trustedTypes))
        return model

    def _save_object(self, folder: Folder, name: str) -> None:
        """Write learners as skops files; see `_object_params`."""
        for i, learner in enumerate(self._learners()):
            trusted = self.getOrDefault(self.trustedTypes)
            folder.write_bytes(f"learner-{i}.skops", dump_learner(learner, trusted=trusted))

    def _stored_learners(self, folder: Folder) -> list[Any]:
        return [
            load_learner(folder.read_bytes(name), folder.uri(name))
            for name in folder.names(".skops")
        ]


_SCORING_FIELDS = ("file", "sha256", "features", "dtype", "allows_missing", "allows_sparse")
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


class EnsembleClassificationModel(ShardClassificationModel):
    """Members that vote."""

    _packages = ("joblib", "threadpoolctl")

    @property
    def numMembers(self) -> int:
        """Number of members."""
        return len(self.content["members"])

    @property
    def weights(self) -> list[float]:
        """Each member's say in the vote."""
        return [m["weight"] for m in self.content["members"]]

    def _scorer(self) -> Combiner:
        members = tuple(StoredMember.from_record(m, m["weight"]) for m in self.content["members"])
        return Combiner(
            self.folder,
            members,
            self.numClasses,
            self.content["voting"],
            tuple(self.schema.feature_names),
            self.trusted,
        )

    def stagedAccuracy(self, df: DataFrame) -> list[float]:
        """Return the accuracy of the first 1, 2, … members on `df`, which has the label.

        One pass over the data; only counts reach the driver.

        Parameters
        ----------
        df : pyspark.sql.DataFrame

        Returns
        -------
        list of float, length numMembers
        """
        from pyspark.sql import functions as F

        check_feature_columns(df, self.schema)
        combiner, schema, label = self._scorer(), self.schema, self.label
        cores = SessionInfo.of(df.sparkSession).task_cpus
        stages = len(combiner.members)

        def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            staged = loaded(combiner.cache_key + "/staged", combiner.load_staged)
            rows, right = 0, np.zeros(stages, np.int64)
            with limit_threads(cores):
                for batch in batches:
                    codes = label.encode(batch.column(0))
                    rows += len(codes)
                    for m, votes in enumerate(staged(schema.encode(batch.columns[1:]))):
                        right[m] += int((votes.argmax(axis=1) == codes).sum())
            yield pa.RecordBatch.from_arrays(
                [pa.array([rows], pa.int64()), pa.array([right.tolist()], pa.list_(pa.int64()))],
                ["rows", "right"],
            )

        known = F.col(f"`{label.column}`").cast(SPARK_TYPES[label.kind])
        counted = (
            df.select(known, *schema.transport())
            .where(known.isin(*label.classes))
            .mapInArrow(count, "rows long, right array<long>")
            .collect()
        )
        total = sum(r["rows"] for r in counted)
        if total == 0:
            raise DataError("empty_data", "No row has a label that the model knows.")
        right = np.sum([r["right"] for r in counted], axis=0)
        return [float(n) / total for n in right]


def _json_params(learner: Any) -> dict[str, str]:
    return {k: repr(v) for k, v in sorted(learner.get_params(deep=True).items())}


def _raise_failures(outcomes: Sequence[TaskOutcome], plans: Sequence[MemberPlan]) -> None:
    failed = [o for o in outcomes if o.error is not None]
    if not failed:
        return
    by_index = {p.index: p for p in plans}
    first = failed[0]
    assert first.error is not None
    shards = ", ".join(str(s) for s in by_index[first.index].shards)
    message = (
        f"{len(failed)} of {len(outcomes)} members failed; member {first.index} on shard "
        f"{shards}: {first.error.message}"
    )
    _logger.error("%s\n%s", message, getattr(first.error, "trace", ""))
    if first.error.code != "task_failed":
        raise type(first.error)(first.error.code, message, first.error.hint)
    raise TrainingError(
        "members_failed",
        message,
        first.error.hint
        or "The other members are committed: with modelDir and resume=True only these are fitted.",
    )
