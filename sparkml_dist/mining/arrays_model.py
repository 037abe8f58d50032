"""Models that consist of arrays: numpy files and a manifest that vouches for them."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pyspark.ml.base import Model
from pyspark.ml.param.shared import HasPredictionCol
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import StorageError
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.ml_io import _open_target, _write_spark_metadata
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, check_files, versions
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed

__all__ = ["ArraysModel"]

_FORMAT = "sparkml_dist.arrays_model"
_PROTOCOL = 1


class ArraysModel(AccessibleParams, Model, HasPredictionCol, MLWritable, MLReadable):
    """Base of the fitted models of points.

    Attributes
    ----------
    columns : PointColumns
        Where coordinates come from.
    content : dict
        What the model needs beside its arrays, as JSON values.
    arrays : dict of ndarray
        Small arrays, by name.
    summary : dict
        How the fit went.
    """

    _defaults: ClassVar[dict[str, Any]] = {"predictionCol": "prediction"}

    def __init__(
        self,
        *,
        columns: PointColumns,
        content: dict[str, Any],
        arrays: dict[str, Any],
        summary: dict[str, Any],
    ) -> None:
        super().__init__()
        self.columns = columns
        self.content = content
        self.arrays = arrays
        self.summary = summary

    @property
    def numFeatures(self) -> int:
        """Coordinates of a point."""
        return int(self.content["width"])

    def _write_files(self, folder: Folder) -> list[str]:
        """Write the model's files into a folder; return their names."""
        for name, array in self.arrays.items():
            write_array(folder, f"{name}.npy", array)
        return [f"{name}.npy" for name in self.arrays]

    def _read_files(self, folder: Folder, names: list[str]) -> None:
        """Take in the files of a folder, which have been checked."""
        self.arrays = {
            name.removesuffix(".npy"): read_array(folder, name)
            for name in names
            if name.endswith(".npy")
        }

    def _write_manifest(self, folder: Folder, names: list[str]) -> None:
        files = [ModelFile.of(folder, name) for name in names]
        value = {
            "format": _FORMAT,
            "protocol": _PROTOCOL,
            "class": f"{type(self).__module__}.{type(self).__name__}",
            "uid": self.uid,
            "versions": versions(),
            "params": {p.name: self.getOrDefault(p) for p in self.params if self.isDefined(p)},
            "columns": self.columns.to_dict(),
            "content": self.content,
            "summary": self.summary,
            "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in files],
        }
        folder.write_json(MANIFEST, sealed(value))

    def write(self) -> MLWriter:
        """Return a writer; ``model.write().overwrite().save(path)``."""
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return _Reader(cls)

    @classmethod
    def load(cls, path: str) -> Self:
        """Load what was saved at `path`, its files checked against their hashes.

        Raises
        ------
        StorageError
            When there is no such model, or it is damaged, altered or of a newer protocol.
        """
        model: Self = cls.read().load(path)
        return model


class _Writer(MLWriter):
    """Writes the arrays, then the manifest that seals them."""

    def __init__(self, model: ArraysModel) -> None:
        super().__init__()
        self._model = model

    def save(self, path: str) -> None:
        """Write the model to `path`."""
        folder = _open_target(path, overwrite=self.shouldOverwrite)
        try:
            names = self._model._write_files(folder)
            _write_spark_metadata(self._model, folder, {})
            self._model._write_manifest(folder, names)
        except BaseException:
            folder.delete()
            raise


class _Reader(MLReader):
    """Reads what `_Writer` wrote."""

    def __init__(self, kind: type[ArraysModel]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Load the model saved at `path`."""
        folder = Folder.at(path)
        where = folder.uri(MANIFEST)
        if not folder.exists(MANIFEST):
            raise StorageError(
                "not_a_model",
                f"There is no saved model in {folder.location!r}.",
                "Name the folder that holds the model's manifest.json.",
            )
        value = folder.read_json(MANIFEST)
        check_sealed(value, _FORMAT, _PROTOCOL, where)
        with reading_fields(where, "Fit the model anew."):
            name = value["class"].rpartition(".")[2]
            files = [ModelFile(**f) for f in value["files"]]
            columns = PointColumns.from_dict(value["columns"])
            params, uid = value["params"].items(), value["uid"]
            content, summary = value["content"], value["summary"]
        if name != self._kind.__name__:
            raise StorageError(
                "other_model", f"{path!r} holds a {name}, not a {self._kind.__name__}."
            )
        check_files(folder, files, verify=True)
        model = self._kind(columns=columns, content=content, arrays={}, summary=summary)
        model._read_files(folder, [f.name for f in files])
        model._resetUid(uid)
        return model.setParams(**{k: v for k, v in params if model.hasParam(k)})
