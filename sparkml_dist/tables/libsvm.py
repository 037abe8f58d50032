"""Reads libsvm (svmlight) files; workers parse each line into a label and a sparse row."""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from sparkml_dist.errors import DataError
from sparkml_dist.tables.encoding import decode, lines
from sparkml_dist.tables.lines import first_lines, input_errors
from sparkml_dist.tables.schema import Table, TableSchema

if TYPE_CHECKING:
    import numpy.typing as npt
    from pyspark.sql import SparkSession

__all__ = ["parse_lines", "read_libsvm"]

_logger = logging.getLogger(__name__)

_SCHEMA = "label double, features struct<size:int,indices:array<int>,values:array<float>>"
_FEATURE = re.compile(r"^(\d+):(\S+)$")
_SHOWN = 80


def read_libsvm(spark: SparkSession, uri: str, schema_from: TableSchema | None = None) -> Table:
    """Read a libsvm file, folder or pattern.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    uri : str
        Lines ``label [qid:n] index:value … [# comment]``; whether indices start from 0 or 1 is
        inferred from the whole input.
    schema_from : TableSchema, optional
        Use the index base and the number of features of another file.

    Returns
    -------
    Table
        Columns ``label`` (double) and ``features``, a struct of ``size``, ``indices`` (from 0,
        ascending) and ``values`` (float).

    Raises
    ------
    StorageError
        ``file_not_found``, ``file_not_read``.
    DataError
        ``empty_data``, ``malformed_line`` with the line's text, ``rows_changed``,
        ``column_not_found`` when `schema_from` is of another format.
    """
    from pyspark.sql import functions as F

    if schema_from is not None and schema_from.features != ("features",):
        raise DataError(
            "column_not_found",
            f"The libsvm file {uri!r} has numbered features; the training data has columns.",
            "Use the format of the training data.",
        )
    first_lines(spark, uri, 1)  # raises for a missing or empty file, in one small task
    with input_errors(uri):
        found = (
            lines(spark, uri)
            .select("value")
            .mapInArrow(_look, "rows bigint, least int, most int, bad bigint, example string")
            .agg(
                F.sum("rows").alias("rows"),
                F.min("least").alias("least"),
                F.max("most").alias("most"),
                F.sum("bad").alias("bad"),
                F.min("example").alias("example"),
            )
            .collect()[0]
        )
    if found["bad"]:
        raise DataError(
            "malformed_line",
            f"{found['bad']:,} lines of {uri!r} are not libsvm, such as {found['example']}.",
            "A line is: label index:value index:value …; set another format with --format.",
        )
    if not found["rows"]:
        raise DataError("empty_data", f"{uri!r} has no rows.", "Check the file.")
    if found["most"] is None:
        raise DataError("no_features", f"No row of {uri!r} has a feature.", "Check the file.")
    zero_based = found["least"] == 0
    n_features = int(found["most"]) + zero_based
    if schema_from is not None and schema_from.format == "libsvm":
        zero_based = zero_based or schema_from.zero_based
        if zero_based and not schema_from.zero_based:
            raise DataError(
                "feature_index",
                f"{uri!r} counts features from 0, but the training data counts from 1.",
                "Write both with the same base.",
            )
        if n_features > schema_from.n_features:
            _logger.warning(
                "%s has features up to %d, but the training data only up to %d; "
                "the others are dropped",
                uri,
                n_features,
                schema_from.n_features,
            )
        n_features = schema_from.n_features
    _logger.info(
        "%s: libsvm, %s rows, %d features, counted from %d",
        uri,
        f"{found['rows']:,}",
        n_features,
        0 if zero_based else 1,
    )
    convert = partial(_convert, uri, n_features, 0 if zero_based else 1)
    df = lines(spark, uri).select("value").mapInArrow(convert, _SCHEMA)
    schema = TableSchema(
        format="libsvm",
        columns=("label", "features"),
        kinds=("number", "other"),
        label="label",
        features=("features",),
        n_features=n_features,
        zero_based=zero_based,
    )
    if schema_from is not None:
        schema = replace(schema, label=schema_from.label and "label")
    return Table(df, schema)


def parse_lines(text: str) -> tuple[sp.csr_matrix, npt.NDArray[np.float64]]:
    """Parse libsvm lines.

    Parameters
    ----------
    text : str
        Lines, separated by newlines; empty ones and comments are skipped.

    Returns
    -------
    X : csr_matrix of float32, shape (rows, highest index + 1)
        Columns are the indices as written in the text; at least one column.
    y : ndarray of float64, shape (rows,)

    Raises
    ------
    ValueError
        For a malformed line, with the line and the reason.
    """
    from sklearn.datasets import load_svmlight_file

    if not any(line.split("#", 1)[0].strip() for line in text.split("\n")):
        return sp.csr_matrix((0, 0), dtype=np.float32), np.zeros(0)
    try:
        X, y = load_svmlight_file(
            io.BytesIO(text.encode()), dtype=np.float64, zero_based=True, multilabel=False
        )
    except (ValueError, OverflowError):
        # Slower, but sorts indices, and finds the malformed line.
        return _parse_one_by_one(text)
    if not np.isfinite(y).all():
        return _parse_one_by_one(text)
    return X.astype(np.float32), y


def _parse_one_by_one(text: str) -> tuple[sp.csr_matrix, npt.NDArray[np.float64]]:
    labels: list[float] = []
    indices: list[int] = []
    values: list[float] = []
    ends = [0]
    for line in text.split("\n"):
        fields = line.split("#", 1)[0].split()
        if not fields:
            continue
        try:
            label, features = _parse_fields(fields)
        except ValueError as error:
            raise ValueError(f"{line.strip()[:_SHOWN]!r} ({error}).") from None
        labels.append(label)
        indices.extend(features)
        values.extend(features.values())
        ends.append(len(indices))
    X = sp.csr_matrix(
        (
            np.array(values, dtype=np.float32),
            np.array(indices, dtype=np.int32),
            np.array(ends, dtype=np.int64),
        ),
        shape=(len(labels), max(indices, default=0) + 1),
    )
    return X, np.array(labels)


def _parse_fields(fields: list[str]) -> tuple[float, dict[int, float]]:
    try:
        label = float(fields[0])
    except ValueError:
        raise ValueError(f"the label must be a number, not {fields[0][:20]!r}") from None
    if not math.isfinite(label):
        raise ValueError("the label is not finite")
    features: dict[int, float] = {}
    for field in fields[1:]:
        if field.startswith("qid:"):
            continue
        match = _FEATURE.match(field)
        if not match:
            raise ValueError(f"{field[:20]!r} is not index:value")
        index = int(match.group(1))
        if index >= 2**31 - 1:
            raise ValueError(f"index {index} is too large")
        if index in features:
            raise ValueError(f"index {index} occurs twice")
        try:
            features[index] = float(match.group(2))
        except ValueError:
            raise ValueError(f"{field[:20]!r} is not index:value") from None
    return label, dict(sorted(features.items()))


def _blocks(batches: Iterator[pa.RecordBatch]) -> Iterator[str]:
    for batch in batches:
        yield decode(batch.column(0).cast(pa.binary()).to_pylist()).removeprefix("\ufeff")


def _look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Find the number of rows, the range of indices and the first malformed line."""
    rows, least, most, bad, example = 0, None, None, 0, None
    for text in _blocks(batches):
        try:
            X, _ = parse_lines(text)
        except ValueError as error:
            bad += sum(_is_bad(line) for line in text.split("\n"))
            example = example or str(error)
            continue
        rows += X.shape[0]
        if X.nnz:
            low, high = int(X.indices.min()), int(X.indices.max())
            least = low if least is None else min(least, low)
            most = high if most is None else max(most, high)
    yield pa.RecordBatch.from_pydict(
        {
            "rows": pa.array([rows], pa.int64()),
            "least": pa.array([least], pa.int32()),
            "most": pa.array([most], pa.int32()),
            "bad": pa.array([bad], pa.int64()),
            "example": pa.array([example], pa.string()),
        }
    )


def _is_bad(line: str) -> bool:
    try:
        _parse_one_by_one(line)
    except ValueError:
        return True
    return False


def _convert(
    uri: str, n_features: int, first: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for text in _blocks(batches):
        try:
            X, y = parse_lines(text)
        except ValueError as error:
            raise DataError("rows_changed", f"{uri!r} changed while it was read: {error}") from None
        if X.shape[1] > n_features + first:
            X = X[:, : n_features + first]
        offsets = pa.array(X.indptr.astype(np.int32))
        features = pa.StructArray.from_arrays(
            [
                pa.array(np.full(len(y), n_features, dtype=np.int32)),
                pa.ListArray.from_arrays(offsets, (X.indices - first).astype(np.int32)),
                pa.ListArray.from_arrays(offsets, X.data.astype(np.float32)),
            ],
            names=["size", "indices", "values"],
        )
        yield pa.RecordBatch.from_arrays([pa.array(y), features], names=["label", "features"])
