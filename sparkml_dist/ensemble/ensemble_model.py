"""What fitted ensembles have in common: members in a folder, and who may ask them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import SPARK_TYPES
from sparkml_dist.ensemble.bank import MemberBank, StoredMember
from sparkml_dist.ensemble.combiner import Combiner
from sparkml_dist.errors import DataError
from sparkml_dist.regression_model import ShardRegressionModel
from sparkml_dist.scoring import check_feature_columns, loaded
from sparkml_dist.session import SessionInfo
from sparkml_dist.shard_model import ShardModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "EnsembleClassificationModel",
    "EnsembleModel",
    "EnsembleRegressionModel",
    "voting_content",
]

_SCORING_FIELDS = ("file", "sha256", "features", "dtype", "allows_missing", "allows_sparse")


def voting_content(
    records: list[dict[str, Any]], weights: list[float], voting: str
) -> dict[str, Any]:
    """Return the manifest's content for members that vote.

    Parameters
    ----------
    records : list of dict
        Of the members, as `store_member` returned them.
    weights : list of float
        Each member's say.
    voting : {"soft", "hard", "mean"}
    """
    members = [
        {**{k: r[k] for k in _SCORING_FIELDS}, "weight": w}
        for r, w in zip(records, weights, strict=True)
    ]
    return {"voting": voting, "members": members}


class EnsembleModel(ShardModel):
    """Members, stored one file each."""

    _packages: ClassVar[tuple[str, ...]] = ("joblib", "threadpoolctl")

    @property
    def numMembers(self) -> int:
        """Number of members."""
        return len(self.content["members"])

    @property
    def weights(self) -> list[float]:
        """Each member's say in the vote."""
        return [m["weight"] for m in self.content["members"]]

    def _bank(self) -> MemberBank:
        return MemberBank(
            self.folder,
            tuple(StoredMember.from_record(m, m["weight"]) for m in self.content["members"]),
            len(self.label.classes),
            tuple(self.schema.feature_names),
            self.trusted,
        )

    def _scorer(self) -> Combiner:
        return Combiner(self._bank(), self.content["voting"])


class EnsembleRegressionModel(EnsembleModel, ShardRegressionModel):
    """Regressors whose weighted mean is the prediction."""


class EnsembleClassificationModel(EnsembleModel, ShardClassificationModel):
    """Members that vote."""

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
        stages = self.numMembers

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
