"""What fitted ensembles have in common: members in a folder, and who may ask them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import class_column
from sparkml_dist.ensemble.bank import MemberBank, StoredMember
from sparkml_dist.ensemble.combiner import Combiner
from sparkml_dist.ensemble.compiled.compiled import choose_scorer, compile_model
from sparkml_dist.ensemble.importance import member_importances
from sparkml_dist.errors import DataError
from sparkml_dist.params import param
from sparkml_dist.regression_model import ShardRegressionModel
from sparkml_dist.scoring import Scorer, block_rows, check_feature_columns, loaded
from sparkml_dist.session import SessionInfo, get_session
from sparkml_dist.shard_model import ShardModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.dataset.partitioned import PartitionedDataset

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
        Each member's say.
    voting : {"soft", "hard", "mean"}
    """
    members = [
        {**{k: r[k] for k in _SCORING_FIELDS}, "weight": w}
        for r, w in zip(records, weights, strict=True)
    ]
    return {"voting": voting, "members": members}


class EnsembleModel(ShardModel):
    """Members, stored one file each.

    A subclass that combines them in another way returns its own scorer from ``_plain_scorer``;
    it can be exported and compiled when that scorer has ``onnx_combine`` and ``check``.
    """

    compiled: Any = param(
        "compiled",
        "whether to score with the compiled form of the model: 'auto' (where `compile` found it "
        "faster), 'never' or 'always'",
        TypeConverters.toString,
    )

    _packages: ClassVar[tuple[str, ...]] = ("joblib", "threadpoolctl")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._setDefault(compiled="auto")

    @property
    def numMembers(self) -> int:
        """Number of members."""
        return len(self.content["members"])

    @property
    def weights(self) -> list[float]:
        """Each member's say in the vote."""
        return [m["weight"] for m in self.content["members"]]

    @property
    def featureImportances(self) -> dict[str, float]:
        """Importance of each feature by its name, adding up to 1.

        The weighted mean of the members' ``feature_importances_``, of those that have them. It is
        computed on executors when it is first asked for.

        Raises
        ------
        ConfigurationError
            ``no_importances`` where no member has them; `permutationImportance` always works.
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

    def _plain_scorer(self) -> Any:
        return Combiner(self._bank(), self.content["voting"])

    def _scorer(self) -> Scorer:
        record, mode = self.content.get("compiled"), self.getOrDefault(self.compiled)
        return choose_scorer(self._plain_scorer(), self.label, self.folder, record, mode)

    def getCompiled(self) -> str:
        """Return compiled: whether to score with the compiled form of the model."""
        mode: str = self.getOrDefault(self.compiled)
        return mode

    def setCompiled(self, value: str) -> Any:
        """Set compiled: ``"auto"``, ``"never"`` or ``"always"``."""
        return self._set(compiled=value)

    def compile(self, data: DataFrame | PartitionedDataset | None = None) -> dict[str, Any]:
        """Build the model's compiled form, for ONNX Runtime, and compare it with the model.

        It is kept in the model's folder as ``compiled.onnx``. With ``compiled="auto"`` it is used
        from then on if it was faster on the compared rows, on workers that have ONNX Runtime.

        Parameters
        ----------
        data : DataFrame or PartitionedDataset, optional
            Rows to compare on, the first 20,000 of either; rows around the thresholds of the
            members' trees when not given.

        Returns
        -------
        dict
            ``rows``, ``max_difference`` (of probabilities; for numbers, as a share of the
            largest), ``share_different`` (rows further apart than 1e-5),
            ``share_equal_predictions``, ``speedup``, and ``refused``: why it is not used, such as
            more than 0.1% of the rows being different, or empty.

        Raises
        ------
        ConfigurationError
            ``onnx_not_covered``, ``onnx_not_supported`` (names the member), ``onnx_missing`` or
            ``onnx_too_large``.
        """
        return compile_model(self, data)


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
        check_feature_columns(df, self.schema)
        combiner: Any = self._bounded(self._plain_scorer())
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
