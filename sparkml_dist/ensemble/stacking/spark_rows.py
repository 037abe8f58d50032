"""Rows in the form that Spark ML stages take: from shards for fitting, from DataFrames to score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.dataset.categories import category_column
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.ensemble.voting.row_subsets import part_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["FEATURES", "LABEL", "PART", "ROW", "SHARD", "WEIGHT", "feature_vector", "shard_rows"]

# Names that Spark ML's stages look for by default.
FEATURES, LABEL, WEIGHT = "features", "label", "weight"
SHARD, ROW, PART = "_sparkml_dist_shard", "_sparkml_dist_row", "_sparkml_dist_part"


def shard_rows(spark: SparkSession, data: PartitionedDataset, parts: Sequence[Subset]) -> DataFrame:
    """Return the rows of all shards for Spark ML, each with its position and its part.

    The library's own reader reads them, one partition per shard. The rows of adopted files, their
    keys and their positions are therefore the same as elsewhere, to the bit, whatever Spark does
    with the plan.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    parts : sequence of Subset

    Returns
    -------
    pyspark.sql.DataFrame
        ``label`` (double: class code or target), ``weight`` if the data has one, ``features`` (ML
        vector), and the row's shard, its position there, and its part (-1 for none).
    """
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    sparse = data.layout == "sparse"
    weighted = data.manifest.weight is not None
    fields = [f"{SHARD} int", f"{ROW} long", f"{PART} int", f"{LABEL} double"]
    fields += [f"{WEIGHT} double"] if weighted else []
    fields += ["indices array<int>", "values array<float>"] if sparse else ["values array<float>"]
    names = [f.split()[0] for f in fields]
    subsets = tuple(parts)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for shard in batch.column(0).to_pylist():
                at = 0
                for group in range(len(data.shards[shard].row_groups)):
                    block = data.read_block(shard, [group])
                    n = len(block)
                    arrays = [
                        pa.array(np.full(n, shard, np.int32)),
                        pa.array(np.arange(at, at + n)),
                        pa.array(part_of(block.key, subsets).astype(np.int32)),
                        pa.array(block.y.astype(np.float64)),
                    ]
                    if block.weight is not None:
                        arrays.append(pa.array(block.weight.astype(np.float64)))
                    arrays += _feature_arrays(block.X)
                    yield pa.RecordBatch.from_arrays(arrays, names)
                    at += n

    shards = len(data.shards)
    rows = spark.range(0, shards, 1, shards).mapInArrow(read, ", ".join(fields))
    if sparse:
        vector = _sparse_vector(data.n_features)(F.col("indices"), F.col("values"))
    else:
        vector = array_to_vector(F.col("values"))
    kept = [c for c in names if c not in ("indices", "values")]
    return rows.select(*kept, vector.alias(FEATURES))


def _feature_arrays(X: Any) -> list[pa.Array]:
    if not isinstance(X, np.ndarray):
        offsets = pa.array(X.indptr.astype(np.int32))
        return [
            pa.ListArray.from_arrays(offsets, pa.array(X.indices.astype(np.int32, copy=False))),
            pa.ListArray.from_arrays(offsets, pa.array(X.data)),
        ]
    rows, width = X.shape
    offsets = pa.array(np.arange(0, (rows + 1) * width, width, dtype=np.int32))
    return [pa.ListArray.from_arrays(offsets, pa.array(X.ravel()))]


def _sparse_vector(size: int) -> Any:
    from pyspark.ml.linalg import SparseVector, VectorUDT
    from pyspark.sql import functions as F

    return F.udf(lambda indices, values: SparseVector(size, indices, values), VectorUDT())


def feature_vector(schema: FeatureSchema) -> Column:
    """Return a DataFrame's feature columns as one ML vector, as in `shard_rows`.

    Parameters
    ----------
    schema : FeatureSchema
        How the columns become features.
    """
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as F

    if schema.layout == "sparse" and len(schema.columns) == 1:
        only = schema.columns[0]
        named = named_column(only.name)
        if only.kind == "vector":
            return named
        if only.kind == "struct":
            made = _sparse_vector(only.size)
            return made(named.getField("indices"), named.getField("values"))
    pieces: list[Column] = []
    run: list[Column] = []
    for column in schema.columns:
        if column.kind in ("numeric", "categorical"):
            run.append(_number(column))
            continue
        if run:
            pieces.append(F.array(*run))
            run = []
        pieces.append(_array(column))
    if run:
        pieces.append(F.array(*run))
    return array_to_vector(pieces[0] if len(pieces) == 1 else F.concat(*pieces))


def _number(column: FeatureColumn) -> Column:
    from pyspark.sql import functions as F

    named, nan = named_column(column.name), F.lit(float("nan")).cast("float")
    if column.kind == "numeric":
        return F.coalesce(named.cast("float"), nan)
    categories = F.array(*[F.lit(c) for c in column.categories])
    text = category_column(named.cast("string"))
    place = F.array_position(categories, text)  # 1-based; 0 for an unseen category
    return F.when(place > 0, (place - 1).cast("float")).otherwise(nan)


def _array(column: FeatureColumn) -> Column:
    from pyspark.ml.functions import vector_to_array

    named = named_column(column.name)
    if column.kind == "array":
        return named.cast("array<float>")
    if column.kind == "struct":
        made = _sparse_vector(column.size)
        named = made(named.getField("indices"), named.getField("values"))
    return vector_to_array(named, "float32")
