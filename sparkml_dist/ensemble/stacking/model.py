"""Models fitted by stacking and blending: base learners, and a final estimator."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.partitioned import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema, Matrix
from sparkml_dist.ensemble.stacking.level_one_columns import LevelOneColumns
from sparkml_dist.ensemble.stacking.spark_bases import with_outputs
from sparkml_dist.ensemble.stacking.spark_folder import check_stage, load_stage
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.scoring import (
    OutputColumns,
    Predict,
    check_feature_columns,
    score,
    score_regression,
)
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_inside
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

__all__ = [
    "LEVEL_ONE",
    "META",
    "BlendingClassificationModel",
    "StackedModel",
    "StackedScorer",
    "StackingClassificationModel",
    "StackingRegressionModel",
]

META = "meta"
LEVEL_ONE = "level-one"


@dataclass(frozen=True)
class StackedScorer:
    """Base learners and final estimator, as sent to workers; see `Scorer`.

    Attributes
    ----------
    columns : LevelOneColumns
    bases : tuple of Combiner or None
        None for those whose outputs come with the rows, in columns after the features.
    final : Combiner
    """

    columns: LevelOneColumns
    bases: tuple[Combiner | None, ...]
    final: Combiner

    raw_scale: ClassVar[float] = 1.0

    @property
    def cache_key(self) -> str:
        """A key that changes with every member and every relevant Param."""
        parts = ["" if b is None else b.cache_key for b in (*self.bases, self.final)]
        parts += [repr(self.columns.passthrough), *self.columns.names]
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @property
    def streams(self) -> bool:
        """Whether members of a base learner are read again for each block."""
        return any(b is not None and b.streams for b in self.bases)

    def within(self, memory: int) -> StackedScorer:
        """Return the scorer with at most `memory` bytes of the base learners' members loaded at
        once.

        The final estimator is small and not counted.
        """
        share = memory // max(1, sum(b is not None for b in self.bases))
        bases = tuple(None if b is None else b.within(share) for b in self.bases)
        return replace(self, bases=bases)

    def load(self) -> Predict:
        """Load all members and return a function of blocks.

        Blocks have shape (n, n_features + number of outputs that come with the rows).
        """
        bases = [None if b is None else b.load() for b in self.bases]
        final = self.final.load()
        columns, own = self.columns, self.columns.source.n_features
        width = max(1, len(columns.classes))

        def predict(X: Matrix) -> npt.NDArray[Any]:
            features: Any = X if X.shape[1] == own else X[:, :own]
            outputs = np.empty((X.shape[0], columns.n_outputs), np.float32)
            at = own
            for i, base in enumerate(bases):
                if base is None:
                    output: Any = X[:, at : at + width]
                    output = output if isinstance(output, np.ndarray) else output.toarray()
                    at += width
                else:
                    output = base(features)
                outputs[:, columns.columns_of(i)] = columns.output(output)
            return final(columns.matrix(outputs, features))

        return predict


class StackedModel(FittedModel, ShardModel):
    """Base of the models with two levels."""

    _packages: ClassVar[tuple[str, ...]] = ("joblib", "threadpoolctl")

    @property
    def numMembers(self) -> int:
        """Number of fitted learners, including those of the final estimator."""
        bases = (len(b.get("members", "1")) for b in self.content["bases"])
        return sum(bases) + len(self.content["final"]["members"])

    @property
    def baseNames(self) -> list[str]:
        """Names of the base learners."""
        return [b["name"] for b in self.content["bases"]]

    @property
    def levelOneNames(self) -> list[str]:
        """Names of the final estimator's features."""
        return list(self._columns().feature_names)

    @property
    def levelOne(self) -> PartitionedDataset:
        """The level-one data; needs ``keepLevelOne=True``."""
        if not self.content["level_one"]:
            raise ConfigurationError(
                "not_kept", "The level-one data was not kept.", "Fit with keepLevelOne=True."
            )
        return open_partitioned(self.folder.uri(LEVEL_ONE))

    def to_sklearn(self) -> Any:
        """Return the model as a scikit-learn estimator that predicts without Spark.

        Raises
        ------
        ConfigurationError
            ``no_local_form`` for a model with bases of Spark ML.
        """
        names = [b["name"] for b in self.content["bases"] if "stage" in b]
        if names:
            raise ConfigurationError(
                "no_local_form",
                f"The bases {', '.join(names)} are models of Spark ML and predict in Spark only.",
                "Score with transform, or stack scikit-learn learners.",
            )
        return super().to_sklearn()

    def finalLearners(self) -> list[Any]:
        """Load the fitted final estimator: one learner, or one per group of shards."""
        return list(self._final().bank.load().learners)

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        if not isinstance(model.content["passthrough"], bool):
            raise TypeError("passthrough must be true or false")
        for base in model.content["bases"]:
            if "stage" in base:
                path = check_inside(base["stage"]["path"], saved.folder)
                check_stage(saved.folder, path, saved.files, saved.trusted)
        return model

    def _stages(self) -> list[tuple[str, Any, list[int] | None]]:
        """Return a column name, the fitted stage and its class codes, for each Spark ML base."""
        if "_loaded_stages" not in self.__dict__:
            found = [b["stage"] for b in self.content["bases"] if "stage" in b]
            self._loaded_stages = [
                (
                    f"_sparkml_dist_base{i}",
                    load_stage(self.folder, stage["path"], self.files, self.trusted),
                    stage["codes"],
                )
                for i, stage in enumerate(found)
            ]
        return self._loaded_stages

    def _scored(
        self, df: DataFrame, score: Callable[[DataFrame, FeatureSchema], DataFrame]
    ) -> DataFrame:
        """Score rows after Spark ML bases have added their outputs in temporary columns."""
        stages = self._stages()
        if not stages:
            return score(df, self.schema)
        check_feature_columns(df, self.schema)
        n_classes = len(self.label.classes)
        extra = [FeatureColumn(name, "array", max(1, n_classes)) for name, *_ in stages]
        wide = replace(self.schema, columns=(*self.schema.columns, *extra))
        scored = score(with_outputs(df, self.schema, stages, n_classes), wide)
        return scored.drop(*[c.name for c in extra])

    def _columns(self) -> LevelOneColumns:
        return LevelOneColumns(
            tuple(self.baseNames), self.schema, self.label.classes, self.content["passthrough"]
        )

    def _combiner(self, folder: Folder, content: dict[str, Any], of: FeatureSchema) -> Combiner:
        members = tuple(StoredMember.from_record(m, m["weight"]) for m in content["members"])
        n_classes = len(self.label.classes)
        bank = MemberBank(
            folder,
            members,
            n_classes,
            tuple(of.feature_names),
            self.trusted,
            categories=tuple(of.category_counts()),
        )
        return Combiner(bank, content["voting"])

    def _final(self) -> Combiner:
        return self._combiner(
            self.folder.child(META), self.content["final"], self._columns().schema()
        )

    def _scorer(self) -> StackedScorer:
        bases = tuple(
            None if "members" not in base else self._combiner(self.folder, base, self.schema)
            for base in self.content["bases"]
        )
        return StackedScorer(self._columns(), bases, self._final())


class StackingClassificationModel(StackedModel, ShardClassificationModel):
    """Fitted by `StackingClassifier`."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        outputs = OutputColumns(
            self.getOrDefault(self.predictionCol),
            self.getOrDefault(self.probabilityCol),
            self.getOrDefault(self.rawPredictionCol),
            self.getOrDefault(self.predictedLabelCol),
        )
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        scorer = self._task_scorer()
        return self._scored(
            dataset,
            lambda df, schema: score(df, schema, self.label, scorer, outputs, task_cpus=cpus),
        )


class StackingRegressionModel(StackedModel, ShardRegressionModel):
    """Fitted by `StackingRegressor`."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        name, scorer = self.getOrDefault(self.predictionCol), self._task_scorer()
        return self._scored(
            dataset, lambda df, schema: score_regression(df, schema, scorer, name, task_cpus=cpus)
        )


class BlendingClassificationModel(StackingClassificationModel):
    """Fitted by `BlendingClassifier`."""
