"""Scores one Parquet file, a few megabytes at a time; runs in workers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.dataset.adopted import carried_columns
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.models.row_scores import ClassScores
from sparkml_dist.models.scoring import Scorer, block_rows, loaded
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["FileScorer", "score_file"]

# Spark notes its own schema of a file under this key, and believes it.
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"


@dataclass(frozen=True)
class FileScorer:
    """How rows of files are scored, and which columns are written.

    Attributes
    ----------
    schema : FeatureSchema
    scorer : Scorer
    classes : ClassScores or None
        None for a regression.
    names : tuple of str
        Columns that are added, in the order of `ClassScores.fields`; an empty name omits one.
    keep : tuple of str or None
        Columns of the input that are written; None for all.
    """

    schema: FeatureSchema
    scorer: Scorer
    classes: ClassScores | None
    names: tuple[str, ...]
    keep: tuple[str, ...] | None = None

    def plan(self) -> dict[str, Any]:
        """Return what decides the columns that are written."""
        return {"names": list(self.names), "keep": None if self.keep is None else list(self.keep)}

    def columns(self, model: Any, batch: pa.RecordBatch) -> list[tuple[str, pa.Array]]:
        """Return the columns that are added to rows."""
        features = self.schema.encode(carried_columns(self.schema, batch))
        if self.classes is None:
            arrays = [pa.array(model(features), pa.float64())]
        else:
            arrays = [_doubles(a) for a in self.classes.arrays(model, features)]
        return [(name, array) for name, array in zip(self.names, arrays, strict=True) if name]


def score_file(
    scorer: FileScorer,
    home: Folder,
    name: str,
    part: tuple[int, int],
    values: Mapping[str, str | None],
    target: Folder,
    output: str,
) -> int:
    """Score some row groups of a file into a file of its own; return the number of rows.

    Parameters
    ----------
    scorer : FileScorer
    home : Folder
    name : str
        Of the input file.
    part : tuple of int
        Number and count of the runs of row groups that the file is cut into.
    values : mapping of str to str or None
        Partition columns of the file.
    target : Folder
    output : str
        Of the output file; it appears when it is complete.

    Raises
    ------
    DataError
        ``column_not_found``, ``non_numeric_feature``.
    StorageError
        Those of the store.
    """
    model = loaded(scorer.scorer.cache_key, scorer.scorer.load)
    with home.opened(name) as stream:
        file = pq.ParquetFile(stream, coerce_int96_timestamp_unit="us")
        source = file.schema_arrow
        _check_columns(scorer.schema, source, values, home.uri(name))
        added = {n.casefold() for n in scorer.names if n}
        kept = [
            n
            for n in source.names
            if n.casefold() not in added and (scorer.keep is None or n in scorer.keep)
        ]
        features = [c.name for c in scorer.schema.columns if c.name not in values]
        wanted = list(dict.fromkeys([*kept, *features]))
        number, parts = part
        groups = range(
            file.num_row_groups * number // parts, file.num_row_groups * (number + 1) // parts
        )
        instants = _instants(file)
        with target.committing(output) as sink:
            writer: pq.ParquetWriter | None = None
            try:
                rows = 0
                for batch in _batches(
                    file, groups, wanted, block_rows(scorer.scorer, scorer.schema)
                ):
                    columns = [(n, _as_instant(batch.column(n), n in instants)) for n in kept]
                    columns += scorer.columns(model, _with_values(batch, values))
                    table = pa.Table.from_arrays(
                        [c for _, c in columns], names=[n for n, _ in columns]
                    )
                    if writer is None:
                        metadata = _metadata(source, kept, columns[len(kept) :])
                        schema = table.schema.with_metadata(metadata)
                        writer = pq.ParquetWriter(
                            sink,
                            schema,
                            compression="snappy",
                            use_dictionary=_repeating(file, kept, columns[len(kept) :]),
                            coerce_timestamps="us",
                            allow_truncated_timestamps=True,
                            store_schema=False,
                        )
                    writer.write_table(table.cast(writer.schema))
                    rows += len(batch)
            finally:
                if writer is not None:
                    writer.close()
    return rows


def _batches(file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str], rows: int) -> Any:
    """Yield rows of row groups; one batch without rows where there are none."""
    some = False
    for batch in file.iter_batches(rows, row_groups=list(groups), columns=list(columns)):
        some = True
        yield batch
    if not some:
        schema = pa.schema([file.schema_arrow.field(n) for n in columns])
        yield pa.RecordBatch.from_pylist([], schema)


def _with_values(batch: pa.RecordBatch, values: Mapping[str, str | None]) -> pa.RecordBatch:
    for name, value in values.items():
        if name not in batch.schema.names:
            batch = batch.append_column(name, pa.array([value] * len(batch), pa.string()))
    return batch


def _check_columns(
    schema: FeatureSchema, source: pa.Schema, values: Mapping[str, Any], where: str
) -> None:
    present = [*source.names, *values]
    for column in schema.columns:
        if column.name not in present:
            raise DataError(
                "column_not_found",
                f"The model needs the feature column {column.name!r}, which {where!r} lacks."
                f"{nearest(column.name, present)}",
                f"Columns are: {', '.join(present[:12])}.",
            )
        if column.name in values or column.kind == "categorical":
            continue
        kind = source.field(column.name).type
        fits = {
            "numeric": pa.types.is_floating(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_boolean(kind)
            or pa.types.is_decimal(kind),
            "array": pa.types.is_list(kind) or pa.types.is_large_list(kind),
            "vector": pa.types.is_struct(kind),
        }
        if not fits.get(column.kind, True):
            raise DataError(
                "non_numeric_feature",
                f"The model needs {column.kind} values in {column.name!r}. Got {kind} "
                f"in {where!r}.",
                "Read the data in the same way as the training data.",
            )


def _instants(file: pq.ParquetFile) -> set[str]:
    """Return the columns of INT96, which Spark writes for points in time."""
    found = set()
    for i in range(len(file.schema)):
        column = file.schema.column(i)
        if column.physical_type == "INT96" and "." not in column.path:
            found.add(column.name)
    return found


def _repeating(
    file: pq.ParquetFile, kept: Sequence[str], added: Sequence[tuple[str, pa.Array]]
) -> list[str]:
    """Return the paths of columns that may repeat their values: all but probabilities.

    A dictionary of those is given up once it is full; until then, it is most of a write's time.
    """
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    found = [path for path in paths if path.partition(".")[0] in kept]
    return found + [name for name, array in added if not pa.types.is_list(array.type)]


def _doubles(values: pa.Array) -> pa.Array:
    """Return lists of probabilities in the type that Spark's vectors have."""
    return values.cast(pa.list_(pa.float64())) if pa.types.is_list(values.type) else values


def _as_instant(values: pa.Array, instant: bool) -> pa.Array:
    return values.cast(pa.timestamp("us", "UTC")) if instant else values


def _metadata(
    source: pa.Schema, kept: Sequence[str], added: Sequence[tuple[str, pa.Array]]
) -> dict[bytes, bytes] | None:
    """Return Spark's note of the schema, of the columns that are written, where there was one."""
    note = (source.metadata or {}).get(_SPARK_SCHEMA)
    if note is None:
        return None
    try:
        schema = json.loads(note)
        by_name = {field["name"]: field for field in schema["fields"]}
        fields = [by_name[name] for name in kept]
    except (ValueError, KeyError, TypeError):
        return None
    fields += [
        {"name": name, "type": _spark_type(array.type), "nullable": True, "metadata": {}}
        for name, array in added
    ]
    return {_SPARK_SCHEMA: json.dumps({"type": "struct", "fields": fields}).encode()}


def _spark_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        inner = _spark_type(kind.value_type)
        return {"type": "array", "elementType": inner, "containsNull": True}
    return {pa.float64(): "double", pa.int64(): "long"}.get(kind, "string")
