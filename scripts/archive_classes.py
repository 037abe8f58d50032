"""Uses what nearly every test uses of Spark, on a JVM that archives its classes when it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from pyspark.sql import SparkSession


def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Send rows through Python."""
    yield from batches


def main() -> int:
    """Write, read, shuffle and store a small table."""
    spark = SparkSession.builder.getOrCreate()
    with TemporaryDirectory() as scratch:
        path = str(Path(scratch) / "rows")
        spark.range(100).selectExpr("id", "id % 3 label", "double(id) x").write.parquet(path)
        df = spark.read.parquet(path).repartition(2).cache()
        df.mapInArrow(same, df.schema).groupBy("label").sum("x").toArrow()
        df.orderBy("id").limit(3).collect()
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
