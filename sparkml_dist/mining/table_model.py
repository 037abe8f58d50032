"""Models that consist of DataFrames: Parquet files, and a manifest with their checksums."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
from pyspark.ml.base import Model

from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, SavedManifest, compare_file
from sparkml_dist.persistence.parquet import read_files, write_parquet
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = ["TableModel", "hashed_files"]


class TableModel(ShowsItself, Persistable, AccessibleParams, Model):
    """Base of the fitted models whose content is DataFrames, of any size.

    Attributes
    ----------
    tables : dict of DataFrame
        The content, by name.
    content : dict
        Everything else that the model needs, as JSON values.
    """

    #: Names of the tables that a model of this class has.
    _table_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, tables: dict[str, DataFrame], content: dict[str, Any]) -> None:
        super().__init__()
        self.tables = tables
        self.content = content

    def _shown(self) -> Iterator[Row]:
        for name, value in self.content.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                words = re.sub("([A-Z])", lambda found: f" {found[1].lower()}", name)
                yield Row(words.removeprefix("num "), f"{value:,.6g}")
        yield from self._top()

    def _top(self) -> Iterator[Row]:
        """Return the first rows of its table; a Spark job reads them."""
        yield from ()

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        names: list[str] = []
        for name in self._table_names:
            home = folder.child(name)
            names += [f"{name}/{file}" for file in write_parquet(self.tables[name], home).names]
            for other in home.names():  # Hadoop's own checksum files, which no manifest lists
                if not other.endswith(".parquet"):
                    home.delete_file(other)
        # The executors compute size and checksum of each file.
        return hashed_files(get_session(), folder, names)

    def _state(self) -> dict[str, Any]:
        return {
            "content": self.content,
            "schemas": {n: self.tables[n].schema.jsonValue() for n in self._table_names},
        }

    @classmethod
    def _check_files(cls, folder: Folder, manifest: SavedManifest) -> None:
        tables = {n: _schema_of(manifest.state["schemas"][n]) for n in cls._table_names}
        names = [f.name for f in manifest.files]
        found = _inspected(get_session(), folder, names, tables)
        for file in manifest.files:
            size, sha256, fault = found[file.name]
            compare_file(folder, file, size, sha256)
            if fault:
                raise ValueError(f"{file.name!r} does not fit its table: {fault}")

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        return cls(tables=cls._read_tables(saved), content=dict(saved.state["content"]))

    @classmethod
    def _read_tables(cls, saved: Saved) -> dict[str, DataFrame]:
        schemas = saved.state["schemas"]
        return {name: _read_table(saved, name, schemas[name]) for name in cls._table_names}

    def _table_files(self, name: str) -> tuple[str, ...]:
        """Return the names of a table's files inside its folder."""
        head = f"{name}/"
        return tuple(f.name.removeprefix(head) for f in self.files if f.name.startswith(head))

    def copy(self, extra: Any = None) -> Self:
        """Return a copy with other Params; the tables are shared."""
        twin: Any = type(self)(tables=self.tables, content=self.content)
        twin._resetUid(self.uid)
        twin._home, twin.files, twin.trusted = self._home, self.files, self.trusted
        self._copyValues(twin)
        return self._copyValues(twin, extra) if extra else twin


def _schema_of(value: Any) -> StructType:
    """Return the schema that a manifest holds."""
    from pyspark.errors import PySparkException
    from pyspark.sql.types import StructType

    _check_flags(value)
    try:
        return StructType.fromJson(value)
    except PySparkException as error:
        raise ValueError(f"{value!r} is not the schema of a table") from error


def _check_flags(value: Any) -> None:
    """Raise where a flag of a schema is not a boolean; Spark would report it only later."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("nullable", "containsNull", "valueContainsNull") and not isinstance(
                inner, bool
            ):
                raise TypeError(f"{key} must be true or false. Got {inner!r}")
            _check_flags(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_flags(inner)


def _read_table(saved: Saved, name: str, schema: dict[str, Any]) -> DataFrame:
    kind, spark = _schema_of(schema), get_session()
    files = saved.names(head=f"{name}/")
    return read_files(spark, saved.folder, files, kind)


def hashed_files(spark: SparkSession, folder: Folder, names: list[str]) -> list[ModelFile]:
    """Return size and SHA-256 checksum of files, which the executors read.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folder : Folder
    names : list of str
        Names in the folder.

    Returns
    -------
    list of ModelFile
        Sorted by name.
    """
    found = _inspected(spark, folder, names, {})
    return [ModelFile(name, size, sha256) for name, (size, sha256, _) in sorted(found.items())]


def _inspected(
    spark: SparkSession, folder: Folder, names: list[str], tables: dict[str, StructType]
) -> dict[str, tuple[int, str, str]]:
    """Let the executors inspect the files of tables.

    Returns
    -------
    dict of str to tuple
        By name: the size (negative for a file that is not there), the SHA-256, and how the file
        differs from the schema of its table, or an empty string.
    """
    if not names:
        return {}

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                found: list[Any] = [name, folder.size(name), "", ""]
                if found[1] >= 0:
                    found[2] = folder.sha256(name)
                    kind = tables.get(name.partition("/")[0])
                    found[3] = "" if kind is None else _difference(folder, name, kind)
                yield pa.RecordBatch.from_pydict({"file": [json.dumps(found)]})

    frame = spark.createDataFrame([(n,) for n in names], "name string")
    rows = frame.repartition(min(len(names), 64)).mapInArrow(look, "file string").collect()
    parts = [json.loads(row["file"]) for row in rows]
    return {name: (size, sha256, fault) for name, size, sha256, fault in parts}


def _difference(folder: Folder, name: str, kind: StructType) -> str:
    """Return how a Parquet file differs from a schema; an empty string if it does not."""
    import pyarrow.parquet as pq
    from pyspark.sql.pandas.types import from_arrow_schema

    try:
        with folder.open_input(name) as stream:
            arrow = pq.read_schema(stream)
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"{type(error).__name__}: {error}"
    try:
        found = from_arrow_schema(arrow)
    except TypeError:  # Arrow lacks this type of Spark's; Spark's reader checks it
        return ""
    shown, wanted = (_plain(k.simpleString()) for k in (found, kind))
    return "" if shown == wanted else f"it holds {shown}, not {wanted}"


def _plain(kind: str) -> str:
    """Return a type's name without the difference between Spark's kinds of timestamps."""
    return re.sub(r"timestamp(_ntz|_ltz)?", "timestamp", kind)
