"""What all classifiers over shards have in common: fit, transform, save, load."""

from __future__ import annotations

import json
import logging
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.base import Estimator, Model
from pyspark.ml.param import Param
from pyspark.ml.util import DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.dataset.cut import partition
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.params import HasCommonParams, HasPredictionColumns
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, ModelManifest, versions
from sparkml_dist.scoring import OutputColumns, Scorer, score
from sparkml_dist.session import SessionInfo, get_session
from sparkml_dist.workspace import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ShardClassificationModel", "ShardClassifier", "load_model"]

_logger = logging.getLogger(__name__)

PLAN = "plan.json"
_OUTPUT_DEFAULTS = {
    "predictionCol": "prediction",
    "probabilityCol": "probability",
    "rawPredictionCol": "rawPrediction",
    "predictedLabelCol": "predictedLabel",
}
_CUTTING = (
    "featuresCol",
    "featuresCols",
    "categoricalCols",
    "labelCol",
    "weightCol",
    "keyCol",
    "numShards",
    "memoryPerTask",
    "shardsDir",
    "seed",
)


class ShardClassifier(HasCommonParams, Estimator, MLWritable, MLReadable):
    """Base of the classifiers: cuts a DataFrame if need be and opens the model's folder.

    A subclass validates its own Params in `_check_params`, says in `_plan` all that decides the
    outcome, and does its work in `_fit_shards`.
    """

    #: Params whose values are objects; each has a writer of its own in the subclass.
    _object_params: ClassVar[tuple[str, ...]] = ()

    _defaults: ClassVar[dict[str, Any]] = {
        "featuresCol": "features",
        "labelCol": "label",
        "seed": 0,
        "overwrite": False,
        "resume": False,
        **_OUTPUT_DEFAULTS,
    }

    # -- for subclasses -------------------------------------------------------------------

    @abstractmethod
    def _check_params(self, spark: SparkSession) -> None:
        """Raise `ConfigurationError` for Params that cannot work; runs before any job."""

    @abstractmethod
    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        """Return JSON values that decide the outcome; a resumed fit must have the same."""

    @abstractmethod
    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> ShardClassificationModel:
        """Fit on shards, committing the model's files in `folder`."""

    # -- PySpark's contract ---------------------------------------------------------------

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> ShardClassificationModel:
        if isinstance(dataset, PartitionedDataset):
            spark = get_session()
            self._check_params(spark)
            self._check_model_dir()
            return self._fit_data(spark, dataset)
        spark = dataset.sparkSession
        self._check_params(spark)
        self._check_model_dir()
        data, temporary = self._cut(dataset)
        try:
            return self._fit_data(spark, data)
        finally:
            if temporary:
                data.folder.delete()

    def fitMultiple(
        self, dataset: DataFrame | PartitionedDataset, paramMaps: Sequence[dict[Param, Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Fit one model for each param map; the cutting is paid once.

        Parameters
        ----------
        dataset : DataFrame or PartitionedDataset
        paramMaps : sequence of dict

        Returns
        -------
        iterator of (int, model)
            Safe to be drawn from by several threads.
        """
        estimators = [self.copy(extra) for extra in paramMaps]
        if self.isSet(self.modelDir):
            for i, estimator in enumerate(estimators):
                estimator.setParams(modelDir=f"{self.getOrDefault(self.modelDir)}/fit-{i}")
        recut = any(p.name in _CUTTING for extra in paramMaps for p in extra)
        cut: list[tuple[PartitionedDataset, bool]] = []
        lock = threading.Lock()
        left = [len(estimators)]

        def fit_one(index: int) -> tuple[int, Any]:
            if isinstance(dataset, PartitionedDataset) or recut:
                return index, estimators[index].fit(dataset)
            with lock:
                if not cut:
                    self._check_params(dataset.sparkSession)
                    cut.append(self._cut(dataset))
            data, temporary = cut[0]
            try:
                return index, estimators[index].fit(data)
            finally:
                with lock:
                    left[0] -= 1
                    if temporary and left[0] == 0:
                        data.folder.delete()

        return _Concurrent(len(estimators), fit_one)

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy with the same uid and some Params changed."""
        return super().copy(extra)

    def write(self) -> MLWriter:
        """Return a writer that saves the estimator's Params."""
        return _EstimatorWriter(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader for what `write` saved."""
        return _EstimatorReader(cls)

    # -- steps ----------------------------------------------------------------------------

    def _fit_data(self, spark: SparkSession, data: PartitionedDataset) -> ShardClassificationModel:
        if data.manifest.label.is_regression:
            raise ConfigurationError(
                "regression_data",
                f"{type(self).__name__} needs classes, but {data.location!r} was cut with "
                "task='regression'.",
                "Cut it with task='classification'.",
            )
        self._check_data(data)
        plan = json.loads(json.dumps(self._plan(data)))
        folder = self._open_model_folder(spark, plan)
        model = self._fit_shards(spark, data, folder)
        for name in _OUTPUT_DEFAULTS:
            if self.isDefined(self.getParam(name)):
                model._set(**{name: self.getOrDefault(self.getParam(name))})
        model._write_manifest()
        return model

    def _check_data(self, data: PartitionedDataset) -> None:
        """Raise where the data cannot be learnt from; from the manifest alone."""

    def _cut(self, df: DataFrame) -> tuple[PartitionedDataset, bool]:
        spark = df.sparkSession
        if self.isSet(self.shardsDir):
            folder, temporary = Folder.at(self.getOrDefault(self.shardsDir)), False
        else:
            folder, temporary = temporary_folder(spark, "shards", "shardsDir"), True
        data = partition(
            df,
            folder.location,
            label=self.getOrDefault(self.labelCol),
            features=self._features_of(df),
            weight=self._value(self.weightCol),
            key=self._value(self.keyCol),
            categorical=self._value(self.categoricalCols) or (),
            shards=self._value(self.numShards),
            memory_per_task=self._value(self.memoryPerTask),
            seed=self.getOrDefault(self.seed),
            overwrite=self.getOrDefault(self.overwrite),
        )
        return data, temporary

    def _features_of(self, df: DataFrame) -> list[str] | None:
        if self.isSet(self.featuresCols):
            names: list[str] = self.getOrDefault(self.featuresCols)
            return names
        column = self.getOrDefault(self.featuresCol)
        return [column] if self.isSet(self.featuresCol) or column in df.columns else None

    def _check_model_dir(self) -> None:
        if not self.isSet(self.modelDir):
            return
        folder = Folder.at(self.getOrDefault(self.modelDir))
        if folder.is_empty():
            return
        if not (folder.exists(PLAN) or folder.exists(MANIFEST)):
            raise StorageError(
                "output_exists",
                f"modelDir {folder.location!r} is not empty and holds no model.",
                "Choose another folder; it will not be overwritten.",
            )
        if not (self.getOrDefault(self.overwrite) or self.getOrDefault(self.resume)):
            raise StorageError(
                "output_exists",
                f"modelDir {folder.location!r} holds a model, or the beginning of one.",
                "Pass overwrite=True to replace it or resume=True to complete it.",
            )

    def _open_model_folder(self, spark: SparkSession, plan: dict[str, Any]) -> Folder:
        if not self.isSet(self.modelDir):
            folder = temporary_folder(spark, "model", "modelDir")
        else:
            folder = Folder.at(self.getOrDefault(self.modelDir))
        if not folder.is_empty():
            if self.getOrDefault(self.resume) and folder.exists(PLAN):
                _refuse_other_plan(folder, plan)
            else:
                folder.delete()
        folder.create()
        folder.write_json(PLAN, plan)
        return folder


def _refuse_other_plan(folder: Folder, plan: dict[str, Any]) -> None:
    stored = folder.read_json(PLAN)
    differing = [
        f"{k}: {stored.get(k)!r} stored, {plan.get(k)!r} now"
        for k in sorted({*stored, *plan})
        if stored.get(k) != plan.get(k)
    ]
    if differing:
        raise ConfigurationError(
            "plan_differs",
            f"The fit begun in {folder.location!r} had another plan: {'; '.join(differing)}.",
            "Resume with the same settings and data, or pass overwrite=True to begin anew.",
        )


class _Concurrent:
    """An iterator over fits that threads may share."""

    def __init__(self, total: int, fit_one: Any) -> None:
        self._total = total
        self._fit_one = fit_one
        self._next = 0
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self

    def __next__(self) -> tuple[int, Any]:
        with self._lock:
            index = self._next
            if index >= self._total:
                raise StopIteration
            self._next += 1
        found: tuple[int, Any] = self._fit_one(index)
        return found


class ShardClassificationModel(Model, HasPredictionColumns, MLWritable, MLReadable):
    """Base of the fitted models: a folder of files, scored on executors.

    Attributes
    ----------
    folder : Folder
        Where the model's files lie.
    schema : FeatureSchema
        How columns become features.
    label : Label
        The label column and its classes.
    content : dict
        What the class itself needs to work, as in the manifest.
    summary : dict
        How the fit went.
    """

    #: Packages whose versions are worth keeping beside the common ones.
    _packages: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        folder: Folder,
        schema: FeatureSchema,
        label: Label,
        files: Sequence[ModelFile],
        content: dict[str, Any],
        summary: dict[str, Any],
    ) -> None:
        super().__init__()
        self._setDefault(**_OUTPUT_DEFAULTS)
        self.folder = folder
        self.schema = schema
        self.label = label
        self.files = tuple(files)
        self.content = content
        self.summary = summary
        self.trusted: tuple[str, ...] = ()

    @abstractmethod
    def _scorer(self) -> Scorer:
        """Return what travels to the workers."""

    @property
    def classes(self) -> list[Any]:
        """The class list; the order of ``probability``."""
        return list(self.label.classes)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return len(self.label.classes)

    @property
    def numFeatures(self) -> int:
        """Number of features."""
        return self.schema.n_features

    def _transform(self, dataset: DataFrame) -> DataFrame:
        outputs = OutputColumns(
            self.getOrDefault(self.predictionCol),
            self.getOrDefault(self.probabilityCol),
            self.getOrDefault(self.rawPredictionCol),
            self.getOrDefault(self.predictedLabelCol),
        )
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        return score(dataset, self.schema, self.label, self._scorer(), outputs, task_cpus=cpus)

    # -- at rest --------------------------------------------------------------------------

    def _write_manifest(self, folder: Folder | None = None) -> None:
        ModelManifest(
            class_name=f"{type(self).__module__}.{type(self).__name__}",
            uid=self.uid,
            params={p.name: self.getOrDefault(p) for p in self.params if self.isDefined(p)},
            schema=self.schema,
            label=self.label,
            files=self.files,
            content=self.content,
            summary=self.summary,
            versions=versions(*self._packages),
        ).write(folder or self.folder)

    def write(self) -> MLWriter:
        """Return a writer; ``model.write().overwrite().save(path)``."""
        return _ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return _ModelReader(cls)

    @classmethod
    def load(cls, path: str, trusted: Sequence[str] = ()) -> Any:
        """Load a model of this class; see `load_model`."""
        model = load_model(path, trusted=trusted)
        if not isinstance(model, cls):
            raise StorageError(
                "other_model",
                f"{path!r} holds a {type(model).__name__}, not a {cls.__name__}.",
                "Use sparkml_dist.load_model to load a model of any class.",
            )
        return model

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy that shares the model's files."""
        return super().copy(extra)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.numClasses} classes, {self.numFeatures:,} features, "
            f"{self.folder.location!r})"
        )


def load_model(path: str, *, trusted: Sequence[str] = ()) -> ShardClassificationModel:
    """Load a saved model of any class, its files checked against their hashes.

    Parameters
    ----------
    path : str
        The model's folder: a local path or URI that workers see as well.
    trusted : sequence of str
        Dotted names of types that member files may contain beside the allow-list.

    Returns
    -------
    ShardClassificationModel
        Of the class that saved it.

    Raises
    ------
    StorageError
        When there is no model, it is damaged, altered or of a newer protocol.
    """
    folder = Folder.at(path)
    manifest = ModelManifest.read(folder)
    module, _, name = manifest.class_name.rpartition(".")
    kind: Any = None
    if module.split(".")[0] == "sparkml_dist":
        try:
            kind = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            kind = None
    if not (isinstance(kind, type) and issubclass(kind, ShardClassificationModel)):
        raise StorageError(
            "unknown_model_class",
            f"{folder.location!r} names the class {manifest.class_name!r}, which is none of "
            "sparkml_dist's models.",
            "Upgrade sparkml_dist if a newer version wrote it.",
        )
    model: ShardClassificationModel = kind(
        folder,
        manifest.schema,
        manifest.label,
        manifest.files,
        manifest.content,
        manifest.summary,
    )
    model._resetUid(manifest.uid)
    for param_name, value in manifest.params.items():
        if model.hasParam(param_name):
            model._set(**{param_name: value})
    model.trusted = tuple(trusted)
    return model


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


class _ModelWriter(MLWriter):
    def __init__(self, model: ShardClassificationModel) -> None:
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


class _ModelReader(MLReader):
    def __init__(self, kind: type[ShardClassificationModel]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Load the model saved at `path`."""
        return self._kind.load(path)


class _EstimatorWriter(MLWriter):
    def __init__(self, estimator: ShardClassifier) -> None:
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


class _EstimatorReader(MLReader):
    def __init__(self, kind: type[ShardClassifier]) -> None:
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
