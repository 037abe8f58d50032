"""Rows of a silo in Parquet, CSV or an Arrow table, read without Spark."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sparkml_dist.dataset import Block
from sparkml_dist.dataset.adopted import AdoptedColumns
from sparkml_dist.dataset.categories import category_list, category_texts
from sparkml_dist.dataset.labels import Label, LabelKind
from sparkml_dist.dataset.manifest import Manifest
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, nearest
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo_data import ShardData, SiloData

__all__ = ["TableData", "open_silo_data"]

_ROWS = 65_536


def open_silo_data(location: str | os.PathLike[str], **columns: Any) -> SiloData:
    """Return the data at a location: shards of `partition`, or a table.

    Parameters
    ----------
    location : str or path-like
        Folder of shards, or what `TableData` takes.
    **columns
        As for `TableData`; shards have theirs.
    """
    from sparkml_dist.dataset import open_partitioned
    from sparkml_dist.persistence.filesystem import Folder

    if os.path.isdir(location) and Folder.at(location).exists("manifest.json"):
        return ShardData(open_partitioned(location))
    return TableData(location, **columns)


class TableData(SiloData):
    """Rows of a table, streamed in batches. The table is read once to learn its categories.

    Parameters
    ----------
    table : str, path-like, pyarrow.Table or pandas.DataFrame
        A Parquet or CSV file, a folder of them, or a table in memory.
    label : str
    features : sequence of str, optional
        All other columns by default.
    weight : str, optional
    categorical : sequence of str
        Features that hold categories.
    regression : bool, default=False
    """

    def __init__(
        self,
        table: Any,
        *,
        label: str,
        features: Sequence[str] | None = None,
        weight: str | None = None,
        categorical: Sequence[str] = (),
        regression: bool = False,
    ) -> None:
        self._source = _source(table)
        kinds = {field.name: field.type for field in self._source.schema}
        chosen = [n for n in kinds if n not in (label, weight)] if features is None else [*features]
        for name in [label, *chosen, *categorical, *([weight] if weight else [])]:
            if name not in kinds:
                raise DataError(
                    "column_not_found",
                    f"There is no column {name!r} in the silo's table.{nearest(name, kinds)}",
                    f"Columns are: {', '.join([*kinds][:12])}.",
                )
        if not chosen:
            raise DataError("no_features", "No feature column is left besides label and weight.")
        for name in chosen:
            if name not in categorical and not _is_number(kinds[name]):
                raise DataError(
                    "non_numeric_feature",
                    f"The feature column {name!r} has the type {kinds[name]}.",
                    f"List it as categorical (categorical=[{name!r}]), or leave it out.",
                )
        wanted = {*chosen, label, *([weight] if weight else [])}
        self._names = [n for n in kinds if n in wanted]
        kind = "target" if regression else _label_kind(label, kinds[label])
        self.n_rows, categories, classes = self._survey(label, [*categorical], regression)
        schema = FeatureSchema.build(
            [
                FeatureColumn(n, "categorical", categories=category_list(categories[n]))
                if n in categorical
                else FeatureColumn(n, "numeric")
                for n in chosen
            ],
            sparse=False,
            precision="float64",
        )
        own = Label(label, kind, Label.sort_classes([*classes]))
        self.schema = FederatedSchema(schema, own, weight)
        manifest = Manifest(schema, own, weight, (), 0, (), (), False)
        self._columns = AdoptedColumns.of(manifest)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks of up to 65,536 rows."""
        for batch in self._batches():
            y, weight, key = self._columns.identity(batch)
            weight = None if weight is None else np.asarray(weight, np.float32)
            yield Block(self._columns.matrix(batch), y, weight, key)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.to_batches(columns=self._names, batch_size=_ROWS):
            if len(batch):
                yield batch

    def _survey(
        self, label: str, categorical: list[str], regression: bool
    ) -> tuple[int, dict[str, set[str]], set[Any]]:
        """Return the number of rows, the categories of each column and the classes."""
        rows = 0
        categories: dict[str, set[str]] = {name: set() for name in categorical}
        classes: set[Any] = set()
        for batch in self._batches():
            rows += len(batch)
            labels = batch.column(label)
            if labels.null_count:
                raise DataError(
                    "label_null",
                    f"The label column {label!r} has nulls.",
                    "Drop those rows or fill them in.",
                )
            if not regression:
                classes.update(labels.unique().to_pylist())
            for name in categorical:
                texts = category_texts(batch.column(name).unique().to_pylist())
                categories[name].update(texts.drop_null().to_pylist())
        return rows, categories, classes


def _source(table: Any) -> Any:
    """Return a table as a dataset of pyarrow, which reads it in batches."""
    import pyarrow.dataset as pads

    if isinstance(table, pa.Table):
        return pads.dataset(table)
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        return pads.dataset(pa.Table.from_pandas(table, preserve_index=False))
    path = os.fspath(table)
    names = [path]
    if os.path.isdir(path):
        names = sorted(os.path.join(path, n) for n in os.listdir(path) if n[0] not in "._")
    form = "csv" if names and names[0].endswith((".csv", ".csv.gz")) else "parquet"
    try:
        return pads.dataset(names, format=form)
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            "file_not_read",
            f"The silo's table {path!r} cannot be read: {str(error).splitlines()[0]}.",
            "Give a Parquet or CSV file, a folder of them, or a folder of shards.",
        ) from error


def _is_number(kind: pa.DataType) -> bool:
    found = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(is_kind(kind) for is_kind in found)


def _label_kind(name: str, kind: pa.DataType) -> LabelKind:
    known: list[tuple[Any, LabelKind]] = [
        (pa.types.is_integer, "integer"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_floating, "number"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
    ]
    for is_kind, label_kind in known:
        if is_kind(kind):
            return label_kind
    raise ConfigurationError(
        "invalid_param",
        f"The label column {name!r} has the type {kind}.",
        "Labels are numbers, strings or booleans.",
    )
