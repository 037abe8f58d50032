"""Models that consist of DataFrames: Parquet files and a manifest that vouches for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa
from pyspark.ml.base import Model
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.ml_io import _open_target, _write_spark_metadata
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, versions
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["TableModel"]

FORMAT = "sparkml_dist.table_model"
PROTOCOL = 1


class TableModel(AccessibleParams, Model, MLWritable, MLReadable):
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
        self._home = ""

    def write(self) -> MLWriter:
        """Return a writer of the model: Parquet written by the executors, and a manifest."""
        return _TableModelWriter(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader of what `write` wrote."""
        return _TableModelReader(cls)

    @classmethod
    def load(cls, path: str) -> Self:
        """Load a saved model, its files checked against their hashes by the executors.

        Raises
        ------
        StorageError
            When there is no model of this class, it is damaged, altered or of a newer protocol.
        """
        folder = Folder.at(path)
        manifest = _read_manifest(folder, cls)
        spark = get_session()
        with reading_fields(folder.uri(MANIFEST), "Save the model anew."):
            listed = {n: [ModelFile(**f) for f in fs] for n, fs in manifest["tables"].items()}
            tables = {name: listed[name] for name in cls._table_names}
            schemas = {name: manifest["schemas"][name] for name in cls._table_names}
            content, uid, params = manifest["content"], manifest["uid"], manifest["params"]
        files = [f for of_table in tables.values() for f in of_table]
        _check_files(spark, folder, files)
        model: Any = cls(
            tables={n: _read_table(spark, folder, schemas[n], fs) for n, fs in tables.items()},
            content=content,
        )
        model._resetUid(uid)
        model.setParams(**params)
        model._home = folder.location
        return model

    def _write_tables(self, folder: Folder) -> None:
        """Write the tables, each to a subfolder of its name."""
        for name in self._table_names:
            self.tables[name].write.parquet(folder.child(name).spark_path())

    def _write_manifest(self, folder: Folder) -> None:
        """Write the manifest of tables that are written; from this moment the model exists."""
        spark = get_session()
        names = {n: folder.child(n).names(".parquet") for n in self._table_names}
        files = {n: _hashed(spark, folder, [f"{n}/{f}" for f in fs]) for n, fs in names.items()}
        _write_spark_metadata(self, folder, {})
        value = {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "class": _dotted(type(self)),
            "uid": self.uid,
            "versions": versions(),
            "params": {p.name: value for p, value in self.extractParamMap().items()},
            "content": self.content,
            "schemas": {n: self.tables[n].schema.jsonValue() for n in self._table_names},
            "tables": {
                n: [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in fs]
                for n, fs in files.items()
            },
        }
        folder.write_json(MANIFEST, sealed(value))

    def copy(self, extra: Any = None) -> Self:
        """Return a copy with other Params; the tables are shared."""
        twin: Any = type(self)(tables=self.tables, content=self.content)
        twin._resetUid(self.uid)
        twin._home = self._home
        self._copyValues(twin)
        return self._copyValues(twin, extra) if extra else twin


class _TableModelWriter(MLWriter):
    def __init__(self, model: TableModel) -> None:
        super().__init__()
        self._model = model

    def save(self, path: str) -> None:
        model = self._model
        if Folder.at(path).location == model._home:
            raise ConfigurationError(
                "output_is_input",
                f"The model's tables are read from {path!r}, which saving would replace.",
                "Save it elsewhere.",
            )
        folder = _open_target(path, overwrite=self.shouldOverwrite)
        try:
            model._write_tables(folder)
            model._write_manifest(folder)
        except BaseException:
            folder.delete()
            raise


class _TableModelReader(MLReader):
    def __init__(self, kind: type[TableModel]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        return self._kind.load(path)


def _dotted(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _read_manifest(folder: Folder, kind: type) -> dict[str, Any]:
    if not folder.exists(MANIFEST):
        raise StorageError(
            "not_a_model",
            f"There is no saved model in {folder.location!r}.",
            "Name the folder that holds the model's manifest.json.",
        )
    value: dict[str, Any] = folder.read_json(MANIFEST)
    check_sealed(value, FORMAT, PROTOCOL, folder.uri(MANIFEST))
    if value.get("class") != _dotted(kind):
        raise StorageError(
            "other_model",
            f"{folder.location!r} holds {value.get('class')!r}, not {_dotted(kind)!r}.",
            "Load it with that class.",
        )
    return value


def _read_table(
    spark: SparkSession, folder: Folder, schema: dict[str, Any], files: list[ModelFile]
) -> DataFrame:
    from pyspark.sql.types import StructType

    kind = StructType.fromJson(schema)
    if not files:
        return spark.createDataFrame([], kind)
    return spark.read.schema(kind).parquet(*[folder.spark_path(f.name) for f in files])


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


def _check_files(spark: SparkSession, folder: Folder, files: list[ModelFile]) -> None:
    found = {f.name: f for f in _hashed(spark, folder, [f.name for f in files])}
    for file in files:
        seen = found[file.name]
        if seen.bytes < 0:
            raise StorageError(
                "file_not_found",
                f"The model's file {folder.uri(file.name)!r} is missing.",
                "Restore it, or fit the model anew.",
            )
        if seen != file:
            raise StorageError(
                "file_altered",
                f"The model's file {folder.uri(file.name)!r} does not match its manifest.",
                "It was cut or altered; restore it, or fit the model anew.",
            )
