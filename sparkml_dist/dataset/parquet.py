"""Parquet as others write it: times in nanoseconds, which Spark refuses to read."""

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
    """Read Parquet as Spark does, and columns of times in nanoseconds as timestamps.

    Pandas and Arrow write such columns. They become timestamps of Spark's resolution,
    microseconds, with or without a zone as they were; nested ones stay whole numbers.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect. Its settings are as before when this returns.
    uri : str
        File, folder or pattern.

    Raises
    ------
    Exception
        What Spark raises where the files are missing or no Parquet.
    """
    try:
        df = spark.read.parquet(uri)
        _ = df.schema  # under Connect, this is where the files are looked at
        return df
    except Exception as error:
        if "NANOS" not in str(error):
            raise
    return _read_with_nanoseconds(spark, uri)


def _read_with_nanoseconds(spark: SparkSession, uri: str) -> DataFrame:
    with _nanoseconds_as_numbers(spark):
        schema = spark.read.parquet(uri).schema
    # A type that is given is not refused, whatever the session's setting is when a job runs.
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
    """Return the columns of times in nanoseconds, and whether they have a zone.

    Spark's schema does not tell them from whole numbers; the footer of a file does.
    """
    try:
        file = Folder.at(df.inputFiles()[0])
        with file.filesystem.open_input_file(file.path()) as stream:
            schema = pq.read_schema(stream)
    except (SparkMLDistError, OSError, pa.ArrowException) as error:
        _logger.warning("times in nanoseconds are read as whole numbers: %s", error)
        return {}
    return {
        field.name: field.type.tz is not None
        for field in schema
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
    }
