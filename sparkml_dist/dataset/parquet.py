"""Reads Parquet, including timestamps in nanoseconds, which Spark refuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["read_parquet"]

_logger = logging.getLogger(__name__)

_AS_LONG = "spark.sql.legacy.parquet.nanosAsLong"


def read_parquet(spark: SparkSession, uri: str) -> DataFrame:
    """Read Parquet as Spark does, with timestamps in nanoseconds as Spark's timestamps.

    Pandas and Arrow write such columns. They become timestamps in microseconds, Spark's
    resolution, with or without a time zone as before; nested ones become integers.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect. Its settings are unchanged afterwards.
    uri : str
        File, folder or pattern.

    Raises
    ------
    Exception
        Spark's own errors for missing files or files that are not Parquet.
    """
    try:
        df = spark.read.parquet(uri)
        _ = df.schema  # under Connect, the files are read here
        return df
    except Exception as error:
        if "NANOS" not in str(error):
            raise
    return _read_with_nanoseconds(spark, uri)


def _read_with_nanoseconds(spark: SparkSession, uri: str) -> DataFrame:
    with _nanoseconds_as_numbers(spark):
        schema = spark.read.parquet(uri).schema
    # With an explicit schema Spark accepts the files, even with the setting restored.
    df = spark.read.schema(schema).parquet(uri)
    zoned = _nanosecond_columns(df)
    expressions = []
    for field, name in zip(schema.fields, quoted(schema.names), strict=True):
        micros = f"({name} - pmod({name}, 1000)) div 1000"
        if field.name not in zoned:
            expressions.append(name)
        elif zoned[field.name]:
            expressions.append(f"timestamp_micros({micros}) as {name}")
        else:
            seconds = f"cast({micros} as decimal(18, 0)) / 1000000"
            since = f"make_dt_interval(0, 0, 0, cast({seconds} as decimal(18, 6)))"
            expressions.append(f"timestamp_ntz'1970-01-01 00:00:00' + {since} as {name}")
    return df.selectExpr(*expressions)


@contextmanager
def _nanoseconds_as_numbers(spark: SparkSession) -> Iterator[None]:
    before = spark.conf.get(_AS_LONG)
    spark.conf.set(_AS_LONG, "true")
    try:
        yield
    finally:
        spark.conf.set(_AS_LONG, before or "false")


def _nanosecond_columns(df: DataFrame) -> dict[str, bool]:
    """Return the columns of timestamps in nanoseconds, and whether they have a time zone.

    Spark's schema has them as integers; the footer of a file has their types.
    """
    try:
        file = Folder.at(df.inputFiles()[0])
        with file.open_input() as stream:
            schema = pq.read_schema(stream)
    except (SparkMLDistError, OSError, pa.ArrowException) as error:
        _logger.warning("timestamps in nanoseconds are read as integers: %s", error)
        return {}
    return {
        field.name: field.type.tz is not None
        for field in schema
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
    }
