"""Spark ML's writers and readers for the estimators and models, without Spark jobs or pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.util import DefaultParamsWriter, MLReader, MLWriter

from sparkml_dist.errors import SparkMLDistError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from sparkml_dist.shard_estimator import ShardEstimator
    from sparkml_dist.shard_model import ShardModel

__all__ = ["EstimatorReader", "EstimatorWriter", "ModelReader", "ModelWriter"]


def _write_spark_metadata(instance: Any, folder: Folder, params: dict[str, Any]) -> None:
    """Write the ``metadata`` that Spark ML's Pipeline looks for, without a Spark job."""
    text = DefaultParamsWriter._get_metadata_to_save(instance, get_session(), None, params)
    folder.child("metadata").write_bytes("part-00000.txt", (text + "\n").encode())


def _open_target(path: str, *, overwrite: bool) -> Folder:
    folder = Folder.at(path)
    if not folder.is_empty():
        if not overwrite:
            raise StorageError(
                "output_exists",
                f"{folder.location!r} is not empty.",
                "Save elsewhere, or use write().overwrite().save(path).",
            )
        folder.delete()
    return folder


class ModelWriter(MLWriter):
    """Copies a model's folder."""

    def __init__(self, model: ShardModel) -> None:
        super().__init__()
        self._model = model

    def save(self, path: str) -> None:
        """Copy the model's files to `path`; the manifest comes last."""
        model = self._model
        if Folder.at(path) == model.folder:
            _write_spark_metadata(model, model.folder, {})
            return
        folder = _open_target(path, overwrite=self.shouldOverwrite)
        try:
            for file in model.files:
                model.folder.copy_file_to(file.name, folder)
            _write_spark_metadata(model, folder, {})
            model._write_manifest(folder)
        except BaseException:
            folder.delete()
            raise


class ModelReader(MLReader):
    """Loads a model of one class."""

    def __init__(self, kind: type[ShardModel]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Load the model saved at `path`."""
        return self._kind.load(path)


class EstimatorWriter(MLWriter):
    """Writes an estimator's Params and its objects."""

    def __init__(self, estimator: ShardEstimator) -> None:
        super().__init__()
        self._estimator = estimator

    def save(self, path: str) -> None:
        """Write the estimator's Params to `path`."""
        estimator = self._estimator
        folder = _open_target(path, overwrite=self.shouldOverwrite)
        params = {
            p.name: value
            for p, value in estimator._paramMap.items()
            if p.name not in estimator._object_params
        }
        try:
            for name in estimator._object_params:
                if estimator.isSet(estimator.getParam(name)):
                    estimator._save_object(folder, name)  # type: ignore[attr-defined]
            _write_spark_metadata(estimator, folder, params)
        except BaseException:
            folder.delete()
            raise


class EstimatorReader(MLReader):
    """Reads what `EstimatorWriter` wrote."""

    def __init__(self, kind: type[ShardEstimator]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Read an estimator's Params from `path`."""
        folder = Folder.at(path)
        names = folder.child("metadata").names()
        if not names:
            raise StorageError("not_an_estimator", f"There is no saved estimator in {path!r}.")
        found = folder.child("metadata").read_json(names[0])
        wanted = f"{self._kind.__module__}.{self._kind.__name__}"
        if found.get("class") != wanted:
            raise StorageError(
                "other_estimator", f"{path!r} holds {found.get('class')!r}, not {wanted!r}."
            )
        estimator: Any = self._kind()
        estimator._resetUid(found["uid"])
        for name in estimator._object_params:
            estimator._load_object(folder, name)
        try:
            return estimator.setParams(**found["paramMap"])
        except SparkMLDistError as error:
            raise StorageError("altered_estimator", f"{path!r}: {error.message}") from error
