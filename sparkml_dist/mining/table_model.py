"""Models that consist of DataFrames: Parquet files and a manifest that vouches for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
from pyspark.ml.base import Model

from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistable import Persistable, Saved
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, compare_file
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["TableModel"]


class TableModel(Persistable, AccessibleParams, Model):
    """Base of the fitted models whose content is DataFrames, of any size.

    Attributes
    ----------
    tables : dict of DataFrame
        The content, by name.
    content : dict
        What else the model needs, as JSON values.
    """

    #: Names of the tables that a model of this class has.
    _table_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, tables: dict[str, DataFrame], content: dict[str, Any]) -> None:
        super().__init__()
        self.tables = tables
        self.content = content

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name in self._table_names:
            self.tables[name].write.parquet(folder.child(name).spark_path())
        return self._written_files(folder)

    def _written_files(self, folder: Folder) -> list[ModelFile]:
        """Look at the files of tables that are written, from the executors."""
        names = [f"{n}/{f}" for n in self._table_names for f in folder.child(n).names(".parquet")]
        return _hashed(get_session(), folder, names)

    def _state(self) -> dict[str, Any]:
        return {
            "content": self.content,
            "schemas": {n: self.tables[n].schema.jsonValue() for n in self._table_names},
        }

    @classmethod
    def _check_files(cls, folder: Folder, files: Sequence[ModelFile]) -> None:
        found = {f.name: f for f in _hashed(get_session(), folder, [f.name for f in files])}
        for file in files:
            compare_file(folder, file, found[file.name].bytes, found[file.name].sha256)

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


def _read_table(saved: Saved, name: str, schema: dict[str, Any]) -> DataFrame:
    from pyspark.sql.types import StructType

    kind, spark = StructType.fromJson(schema), get_session()
    files = saved.names(head=f"{name}/")
    if not files:
        return spark.createDataFrame([], kind)
    return spark.read.schema(kind).parquet(*[saved.folder.spark_path(f) for f in files])


def _hashed(spark: SparkSession, folder: Folder, names: list[str]) -> list[ModelFile]:
    """Return size and SHA-256 of files, read by the executors."""
    if not names:
        return []

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                there = folder.size(name) >= 0
                found = ModelFile.of(folder, name) if there else ModelFile(name, -1, "")
                text = json.dumps([found.name, found.bytes, found.sha256])
                yield pa.RecordBatch.from_pydict({"file": [text]})

    frame = spark.createDataFrame([(n,) for n in names], "name string")
    rows = frame.repartition(min(len(names), 64)).mapInArrow(look, "file string").collect()
    return sorted((ModelFile(*json.loads(row["file"])) for row in rows), key=lambda f: f.name)
