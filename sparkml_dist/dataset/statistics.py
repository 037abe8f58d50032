"""Statistics needed before partitioning: vector widths, classes, categories, weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.dataset.categories import category_list
from sparkml_dist.dataset.columns import ColumnPlan, FeatureSource
from sparkml_dist.dataset.labels import Label, class_column
from sparkml_dist.dataset.many_columns import named_column, quoted
from sparkml_dist.dataset.schema import FeatureColumn
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["RowStatistics", "category_lists", "feature_columns", "row_statistics"]

MAX_CLASSES = 10_000
_FEW_CLASSES = 50  # more classes need at least two rows each
MAX_CATEGORIES = 10_000
_SAMPLE_ROWS = 1_000
_SPARSE_BELOW = 0.5


@dataclass(frozen=True)
class RowStatistics:
    """Result of one pass over label and weight.

    Attributes
    ----------
    rows : int
        Number of rows.
    label : Label
        The label with its global class list.
    """

    rows: int
    label: Label


def feature_columns(
    df: DataFrame, sources: Sequence[FeatureSource]
) -> tuple[list[FeatureColumn], bool, float]:
    """Find the widths of the feature columns, and whether the data is sparse.

    Arrays, ML vectors and sparse rows are measured in a sample of the first rows; the writer checks
    every row against these widths.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    sources : sequence of FeatureSource

    Returns
    -------
    columns : list of FeatureColumn
    sparse : bool
        Whether the block layout should be sparse.
    row_bytes : float
        Bytes of a row in memory, in that layout.
    """
    wide = [s for s in sources if s.kind in ("array", "vector", "struct")]
    inspected = _inspect_sample(df, wide) if wide else {}
    columns, stored, density_known = [], 0.0, False
    for source in sources:
        if source.name not in inspected:
            columns.append(FeatureColumn(source.name, source.kind))
            stored += 1
            continue
        seen = inspected[source.name]
        if seen["rows"] == 0:
            raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
        if seen["nulls"]:
            raise DataError(
                "null_vector",
                f"The feature column {source.name!r} holds null in place of a vector.",
                "Drop those rows or fill them in.",
            )
        if seen["least"] != seen["most"]:
            raise DataError(
                "vector_length",
                f"The feature column {source.name!r} holds vectors of {seen['least']} and of "
                f"{seen['most']} values.",
                "Make all rows the same length.",
            )
        size = int(seen["most"])
        names = source.names if len(source.names) == size else ()
        columns.append(FeatureColumn(source.name, source.kind, size, names=names))
        stored += seen["stored"] / seen["rows"]
        density_known |= bool(seen["sparse"])
    width = sum(c.size for c in columns)
    if width == 0:
        raise DataError("no_features", "The feature vectors are empty.")
    sparse = density_known and stored < _SPARSE_BELOW * width
    return columns, sparse, stored * 8 + 8 if sparse else width * 4


def _inspect_sample(df: DataFrame, wide: Sequence[FeatureSource]) -> dict[str, dict[str, Any]]:
    names = [s.name for s in wide]

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow.compute as pc

        found = {
            n: {"rows": 0, "nulls": 0, "least": None, "most": None, "stored": 0, "sparse": False}
            for n in names
        }
        for batch in batches:
            for name, values in zip(names, batch.columns, strict=True):
                seen: dict[str, Any] = found[name]
                seen["rows"] += len(values)
                seen["nulls"] += values.null_count
                values = values.drop_null()
                if not len(values):
                    continue
                if pa.types.is_struct(values.type):
                    lengths = pc.fill_null(pc.list_value_length(values.field("values")), 0)
                    stored = lengths.to_numpy()
                    sizes = pc.fill_null(values.field("size"), -1).to_numpy()
                    if values.type.get_field_index("type") >= 0:
                        dense = values.field("type").to_numpy() == 1
                        flat = values.field("values").flatten().to_numpy()
                        sizes = np.where(dense, stored, sizes)
                        seen["stored"] += int(np.count_nonzero(flat))
                        seen["sparse"] |= bool((~dense).any())
                    else:
                        seen["stored"] += int(stored.sum())
                        seen["sparse"] = True
                else:
                    sizes = pc.list_value_length(values).to_numpy()
                    seen["stored"] += int(sizes.sum())
                least, most = int(sizes.min()), int(sizes.max())
                seen["least"] = least if seen["least"] is None else min(seen["least"], least)
                seen["most"] = most if seen["most"] is None else max(seen["most"], most)
        yield pa.RecordBatch.from_pydict({"found": [json.dumps(found)]})

    sample = df.select(*quoted(names)).limit(_SAMPLE_ROWS)
    rows = sample.coalesce(1).mapInArrow(look, "found string").collect()
    if not rows:
        raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
    result: dict[str, dict[str, Any]] = json.loads(rows[0]["found"])
    return result


def row_statistics(df: DataFrame, plan: ColumnPlan) -> RowStatistics:
    """Count rows and classes and check label and weight, in one pass over these columns.

    Raises
    ------
    DataError
        ``empty_data``, ``label_null``, ``label_infinite``, ``label_rounded``, ``not_utf8``,
        ``one_class``, ``too_many_classes``,
        ``weight_null``, ``weight_negative``, ``weight_zero``, ``weight_infinite``.
    """
    from pyspark.sql import functions as F

    label = class_column(plan.label, plan.label_kind)
    weight = named_column(plan.weight).cast("double") if plan.weight else F.lit(1.0)
    numeric = plan.label_kind in ("number", "target")
    missing = label.isNull() | F.isnan(label) if numeric else label.isNull()
    group = F.when(missing, F.lit("missing")).otherwise(F.lit("present"))
    keys = [group.alias("state")]
    regression = plan.label_kind == "target"
    wrong = F.lit(False)
    if plan.label_kind == "string":
        wrong = ~F.is_valid_utf8(label)
    elif plan.label_kind == "number":
        # Decimals with more digits than a double holds.
        raw = F.col(quoted([plan.label])[0])
        wrong = F.min(raw) < F.max(raw)
    if not regression:
        keys.append(F.when(~missing, label).alias("value"))
    bad_weight = weight.isNull() | F.isnan(weight)
    statistics = (
        df.groupBy(*keys)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(bad_weight.cast("long")).alias("weight_null"),
            F.sum((weight < 0).cast("long")).alias("weight_negative"),
            F.sum(F.when(bad_weight, 0.0).otherwise(weight)).alias("weight"),
            F.sum((F.abs(label) == math.inf).cast("long") if numeric else F.lit(0)).alias("inf"),
            (F.max(wrong) if plan.label_kind == "string" else wrong).alias("wrong"),
        )
        .limit(MAX_CLASSES + 2)
        .collect()
    )
    rows = sum(r["rows"] for r in statistics)
    if rows == 0:
        raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
    nulls = sum(r["rows"] for r in statistics if r["state"] == "missing")
    if nulls:
        raise DataError(
            "label_null",
            f"The label column {plan.label!r} is null or NaN in {nulls:,} rows.",
            "Drop those rows or fill them in.",
        )
    if sum(r["inf"] or 0 for r in statistics):
        raise DataError("label_infinite", f"The label column {plan.label!r} holds infinities.")
    if plan.weight:
        _check_weights(plan.weight, statistics)
    if regression:
        return RowStatistics(rows, Label(plan.label, "target"))
    _check_classes(plan, statistics)
    classes = Label.sort_classes([r["value"] for r in statistics])
    if len(classes) > MAX_CLASSES:
        raise DataError(
            "too_many_classes",
            f"The label column {plan.label!r} has more than {MAX_CLASSES:,} distinct values.",
            "Use a regressor for a real-valued target, and another label than an identifier.",
        )
    if len(classes) > max(_FEW_CLASSES, rows / 2):
        raise DataError(
            "too_many_classes",
            f"The label column {plan.label!r} has {len(classes):,} values in {rows:,} rows.",
            "Use a regressor for a real-valued target, and another label than an identifier.",
        )
    if len(classes) < 2:
        raise DataError(
            "one_class",
            f"The label column {plan.label!r} has one class only: {classes[0]!r}.",
            "A classifier needs at least two; check the filters and the column.",
        )
    return RowStatistics(rows, Label(plan.label, plan.label_kind, classes))


def _check_classes(plan: ColumnPlan, statistics: Sequence[Any]) -> None:
    for row in statistics:
        if row["wrong"] and plan.label_kind == "string":
            raise not_utf8("label", plan.label)
        if row["wrong"]:
            raise DataError(
                "label_rounded",
                f"The label column {plan.label!r} has different labels that are equal as doubles: "
                f"{row['value']!r}.",
                "Cast it to bigint or to string.",
            )


def not_utf8(role: str, name: str) -> DataError:
    """Return the error for a string column with bytes of another encoding."""
    return DataError(
        "not_utf8",
        f"The {role} column {name!r} holds text that is not UTF-8.",
        "Decode the bytes, for example with decode(value, 'ISO-8859-1'), or drop the invalid ones "
        "with make_valid_utf8.",
    )


def too_many_categories(name: str) -> DataError:
    """Return the error for a column with more than `MAX_CATEGORIES` categories."""
    return DataError(
        "too_many_categories",
        f"The categorical column {name!r} has more than {MAX_CATEGORIES:,} categories.",
        "If it is an identifier, leave it out; otherwise group its rare values first.",
    )


def _check_weights(name: str, statistics: Sequence[Any]) -> None:
    def total(column: str) -> float:
        return float(sum(r[column] or 0 for r in statistics))

    if total("weight_null"):
        raise DataError(
            "weight_null",
            f"The weight column {name!r} is null in {total('weight_null'):,.0f} rows.",
        )
    if total("weight_negative"):
        raise DataError(
            "weight_negative",
            f"The weight column {name!r} is negative in {total('weight_negative'):,.0f} rows.",
            "Weights must be >= 0.",
        )
    if not math.isfinite(total("weight")):
        raise DataError("weight_infinite", f"The weight column {name!r} holds infinities.")
    if total("weight") == 0:
        raise DataError(
            "weight_zero",
            f"The weight column {name!r} is zero in every row.",
            "At least one row must have a positive weight.",
        )


def category_lists(df: DataFrame, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the sorted distinct categories of each categorical column, without nulls.

    Raises
    ------
    DataError
        ``too_many_categories`` above 10,000 in one column; ``not_utf8``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import DoubleType, FloatType

    if not columns:
        return {}

    def text(name: str) -> Column:
        values, kind = F.col(quoted([name])[0]), df.schema[name].dataType
        if isinstance(kind, FloatType | DoubleType):
            values = F.when(~F.isnan(values), values)
        return values.cast("string").alias("value")

    pairs = F.array(*[F.struct(F.lit(i).alias("i"), text(c)) for i, c in enumerate(columns)])
    value = F.col("pair.value")
    found = (
        df.select(F.explode(pairs).alias("pair"))
        .where(value.isNotNull())
        .select("pair.i", F.when(F.is_valid_utf8(value), value).alias("value"))
        .distinct()
        .limit(MAX_CATEGORIES * len(columns) + 1)
        .collect()
    )
    lists: dict[str, list[str]] = {c: [] for c in columns}
    for row in found:
        if row["value"] is None:
            raise not_utf8("categorical", columns[row["i"]])
        lists[columns[row["i"]]].append(row["value"])
    for name, values in lists.items():
        if len(values) > MAX_CATEGORIES:
            raise too_many_categories(name)
    return {name: category_list(values) for name, values in lists.items()}
