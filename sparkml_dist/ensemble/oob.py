"""Out-of-bag predictions: each row is predicted by the members that did not learn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import DataError
from sparkml_dist.members.bag import Draw
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.metrics.evaluation import evaluate_classification
from sparkml_dist.metrics.regression import evaluate_regression
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.parquet import read_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["OOB", "out_of_bag", "read_out_of_bag"]

OOB = "oob"


def out_of_bag(
    spark: SparkSession,
    data: PartitionedDataset,
    folder: Folder,
    combiner: Combiner,
    draws: Sequence[tuple[tuple[int, ...], Draw]],
) -> tuple[list[ModelFile], dict[str, Any]]:
    """Predict every row by the members whose bags do not hold it, with one task per shard.

    A member that learnt from other shards has not seen the rows of this one: with one member for
    each of n shards, n - 1 of them predict a row. (Rows with equal keys in different shards count
    as different rows.)

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
        The model's; the predictions are committed in ``oob/``.
    combiner : Combiner
    draws : sequence of (shards, Draw)
        The shards of each member, and how its bag was drawn from them.

    Returns
    -------
    files : list of ModelFile
        One per shard: ``key``, ``label``, ``prediction``, ``probability`` and ``members`` (how
        many members predicted the row).
    summary : dict
        ``metrics``, and ``rows``, the number of rows with a prediction.

    Raises
    ------
    DataError
        ``no_oob_rows`` if no member leaves out a row.

    References
    ----------
    Breiman (1996), "Out-of-bag estimation".
    """
    task = _OutOfBagTask(data, folder.child(OOB), combiner, tuple(draws))
    shards = range(len(data.shards))
    files = []
    for outcome in run_tasks(spark, shards, task, description="predict rows out of bag"):
        if outcome.error:
            raise outcome.error
        # The driver does not read what may be as many rows as the data set has.
        files.append(ModelFile(**outcome.result))
    predicted = read_out_of_bag(spark, folder, files)
    if predicted.isEmpty():
        raise DataError(
            "no_oob_rows",
            "Every member learnt from every row, so that no row is out of bag.",
            "Make more shards, or set maxSamples so that members learn from bootstraps.",
        )
    label = data.manifest.label
    metrics: Any
    if label.is_regression:
        metrics = evaluate_regression(predicted, label_col="label")
    else:
        metrics = evaluate_classification(predicted, label_col="label", classes=label.classes)
    return files, {"metrics": metrics.to_dict(), "rows": metrics.rows}


def read_out_of_bag(spark: SparkSession, folder: Folder, files: Sequence[ModelFile]) -> DataFrame:
    """Return a model's out-of-bag predictions, without the rows that every member learnt from.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folder : Folder
    files : sequence of ModelFile
        The model's files; no others are read.
    """
    names = [f.name for f in files if f.name.startswith(f"{OOB}/")]
    if folder.is_object_store:
        with folder.opened(names[0]) as stream:
            from pyspark.sql.pandas.types import from_arrow_schema

            schema = from_arrow_schema(pq.read_schema(stream))
        return read_files(spark, folder, names, schema).where("members > 0")
    return spark.read.parquet(*map(folder.spark_path, names)).where("members > 0")


def _stem(shard: int) -> str:
    return f"shard-{shard:05d}"


@dataclass(frozen=True)
class _OutOfBagTask:
    """Predicts the rows of one shard out of bag, one row group at a time."""

    data: PartitionedDataset
    home: Folder
    combiner: Combiner
    draws: tuple[tuple[tuple[int, ...], Draw], ...]

    def __call__(self, shard: int) -> dict[str, Any]:
        """Write the predictions of a shard unless they are there; return the file's entry."""
        name = f"{_stem(shard)}.parquet"
        if not self.home.exists(name):
            self._write(shard, name)
        return replace(ModelFile.of(self.home, name), name=f"{OOB}/{name}").to_dict()

    def _write(self, shard: int, name: str) -> None:
        staged = self.combiner.load_staged()
        groups = self.data.shards[shard].row_groups
        schema = self._schema()
        with (
            self.home.committing(name) as sink,
            pq.ParquetWriter(sink, schema, compression="lz4") as writer,
        ):
            for group in range(len(groups)):
                block = self.data.read_block(shard, [group])
                writer.write_table(self._predicted(block, shard, staged, schema))

    def _predicted(self, block: Block, shard: int, staged: Any, schema: pa.Schema) -> pa.Table:
        n = len(block)
        k = self.combiner.bank.n_classes
        votes = np.zeros((n, k) if k else n)
        voters = np.zeros(n, np.int32)
        weight = np.zeros(n)
        before = np.zeros_like(votes)
        members = self.combiner.bank.members
        for (shards, draw), member, total in zip(self.draws, members, staged(block.X), strict=True):
            outside = _outside(block, shard, shards, draw)
            votes[outside] += (total - before)[outside]
            weight[outside] += member.weight
            voters += outside
            before = total.copy()
        scale = np.maximum(weight, np.finfo(float).tiny)
        label = self.data.manifest.label
        key = pa.array(block.key)
        if not k:
            values = [key, pa.array(block.y), pa.array(votes / scale), pa.array(voters)]
            return pa.Table.from_arrays(values, schema=schema)
        proba = votes / scale[:, None]
        true = pa.array(label.classes, schema.field("label").type).take(pa.array(block.y))
        prediction = pa.array(label.class_values()[proba.argmax(axis=1)])
        lists = pa.FixedSizeListArray.from_arrays(pa.array(proba.ravel()), k)
        values = [key, true, prediction, lists.cast(schema.field("probability").type)]
        return pa.Table.from_arrays([*values, pa.array(voters)], schema=schema)

    def _schema(self) -> pa.Schema:
        label = self.data.manifest.label
        kinds = {"string": pa.string(), "boolean": pa.bool_(), "integer": pa.int64()}
        fields = [("key", pa.int64()), ("label", kinds.get(label.kind, pa.float64()))]
        fields.append(("prediction", pa.float64()))
        if not label.is_regression:
            fields.append(("probability", pa.list_(pa.float64())))
        return pa.schema([*fields, ("members", pa.int32())])


def _outside(
    block: Block, shard: int, shards: tuple[int, ...], draw: Draw
) -> npt.NDArray[np.bool_]:
    """Tell which rows a member did not learn from."""
    if shard not in shards:
        return np.ones(len(block), bool)
    counts = draw.counts(block)
    return np.zeros(len(block), bool) if counts is None else counts == 0
