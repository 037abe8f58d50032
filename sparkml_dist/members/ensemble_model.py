"""Base of the fitted ensembles: members stored in a folder that vote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import class_column
from sparkml_dist.errors import DataError
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.importance import member_importances
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.scoring import block_rows, check_feature_columns, loaded
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.report.fitted_model import FittedModel
from sparkml_dist.session import SessionInfo, get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


__all__ = [
    "EnsembleClassificationModel",
    "EnsembleModel",
    "EnsembleRegressionModel",
    "voting_content",
]

_SCORING_FIELDS = (
    "file",
    "sha256",
    "features",
    "dtype",
    "allows_missing",
    "allows_sparse",
    "encodes",
)


def voting_content(
    records: list[dict[str, Any]], weights: list[float], voting: str
) -> dict[str, Any]:
    """Return the manifest's content for members that vote.

    Parameters
    ----------
    records : list of dict
        Of the members, as `store_member` returned them.
    weights : list of float
        Each member's weight in the vote.
    voting : {"soft", "hard", "mean"}
    """
    members = [
        {**{k: r[k] for k in _SCORING_FIELDS}, "weight": w}
        for r, w in zip(records, weights, strict=True)
    ]
    return {"voting": voting, "members": members}


class EnsembleModel(FittedModel, ShardModel):
    """Members, stored in one file each.

    A subclass that combines them in another way returns its own scorer from ``_scorer``. The model
    can be exported to ONNX if that scorer has ``onnx_combine``.
    """

    _packages: ClassVar[tuple[str, ...]] = ("joblib", "threadpoolctl")

    @property
    def numMembers(self) -> int:
        """Number of members."""
        return len(self.content["members"])

    @property
    def weights(self) -> list[float]:
        """Each member's weight in the vote."""
        return [m["weight"] for m in self.content["members"]]

    @property
    def featureImportances(self) -> dict[str, float]:
        """Importance of each feature by name; the sum is 1.

        The weighted mean of ``feature_importances_`` over the members that have it. Executors
        compute it at the first access.

        Raises
        ------
        ConfigurationError
            ``no_importances`` if no member has them; `permutationImportance` always works.
        """
        if "_importances" not in vars(self):
            found = member_importances(get_session(), self._bank())
            named = zip(self.schema.feature_names, found.tolist(), strict=True)
            self._importances = dict(named)
        return dict(self._importances)

    def _bank(self) -> MemberBank:
        return MemberBank(
            self.folder,
            tuple(StoredMember.from_record(m, m["weight"]) for m in self.content["members"]),
            len(self.label.classes),
            tuple(self.schema.feature_names),
            self.trusted,
            categories=tuple(self.schema.category_counts()),
        )

    def _scorer(self) -> Any:
        return Combiner(self._bank(), self.content["voting"])


class EnsembleRegressionModel(EnsembleModel, ShardRegressionModel):
    """Regressors whose weighted mean is the prediction."""


class EnsembleClassificationModel(EnsembleModel, ShardClassificationModel):
    """Members that vote."""

    def stagedAccuracy(self, df: DataFrame) -> list[float]:
        """Return the accuracy of the first 1, 2, … members on `df`, which has the label column.

        Takes one pass over the data; only counts reach the driver.

        Parameters
        ----------
        df : pyspark.sql.DataFrame

        Returns
        -------
        list of float, length numMembers
        """
        check_feature_columns(df, self.schema)
        combiner: Any = self._bounded(self._scorer())
        schema, label = self.schema, self.label
        cores = SessionInfo.of(df.sparkSession).task_cpus
        stages = self.numMembers

        def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            staged = loaded(combiner.cache_key + "/staged", combiner.load_staged)
            rows, right = 0, np.zeros(stages, np.int64)
            with limit_threads(cores):
                structs = (batch.to_struct_array() for batch in batches)
                for block in joined_batches(structs, block_rows(combiner, schema)):
                    known, *features = block.flatten()
                    codes = label.encode(known)
                    rows += len(codes)
                    for m, votes in enumerate(staged(schema.encode(features))):
                        right[m] += int((votes.argmax(axis=1) == codes).sum())
            yield pa.RecordBatch.from_arrays(
                [pa.array([rows], pa.int64()), pa.array([right.tolist()], pa.list_(pa.int64()))],
                ["rows", "right"],
            )

        known = class_column(label.column, label.kind)
        counted = (
            df.select(known, *schema.transport(df))
            .where(known.isin(*label.classes))
            .mapInArrow(count, "rows long, right array<long>")
            .collect()
        )
        total = sum(r["rows"] for r in counted)
        if total == 0:
            raise DataError("unknown_label", "No row has a label that the model knows.")
        right = np.sum([r["right"] for r in counted], axis=0)
        return [float(n) / total for n in right]
