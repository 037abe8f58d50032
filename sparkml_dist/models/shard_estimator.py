"""Base of all estimators over shards: partition the data, open the model's folder, fit."""

from __future__ import annotations

import json
import logging
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import Param

from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.partitioning import partition
from sparkml_dist.dataset.schema import Precision
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.fit_events import note_shards
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.params import HasCommonParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.saved_folder import SavedFolder, begin_fit, check_free_for_fit
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ShardEstimator"]

_logger = logging.getLogger(__name__)

_PARTITION_PARAMS = (
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


class ShardEstimator(SavedParams, HasCommonParams):
    """Base of the estimators: partitions a DataFrame if necessary and opens the model's folder.

    A subclass validates its own Params in `_check_params`, returns in `_plan` all settings that
    decide the outcome, and fits in `_fit_shards`.
    """

    #: Settings of the plan with which a resumed fit may go on: a larger value continues the fit
    #: of a smaller one.
    _growing: ClassVar[tuple[str, ...]] = ()
    #: Task that decides the type of the label.
    _task: ClassVar[Task] = "classification"
    #: Type in which a DataFrame's features are stored.
    _precision: ClassVar[Precision] = "float32"
    #: Whether fits of several param maps may use the same shards.
    _shares_shards: ClassVar[bool] = True

    # -- for subclasses -------------------------------------------------------------------

    @abstractmethod
    def _check_params(self, spark: SparkSession) -> None:
        """Raise `ConfigurationError` for invalid Params; runs before any job."""

    @abstractmethod
    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        """Return JSON values that decide the outcome; a resumed fit must have equal ones."""

    @abstractmethod
    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> ShardModel:
        """Fit on shards; write the model's files to `folder`."""

    # -- PySpark's contract ---------------------------------------------------------------

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> ShardModel:
        if isinstance(dataset, PartitionedDataset):
            spark = get_session()
            self._check_params(spark)
            self._check_model_dir()
            return self._fit_data(spark, dataset)
        spark = dataset.sparkSession
        self._check_params(spark)
        self._check_model_dir()
        data, temporary = self._partition(dataset)
        try:
            return self._fit_data(spark, data)
        finally:
            if temporary:
                data.folder.delete()

    def fitMultiple(
        self, dataset: DataFrame | PartitionedDataset, paramMaps: Sequence[dict[Param, Any]]
    ) -> Iterator[tuple[int, Any]]:
        """Fit one model for each param map; the data is partitioned once.

        Parameters
        ----------
        dataset : DataFrame or PartitionedDataset
        paramMaps : sequence of dict

        Returns
        -------
        iterator of (int, model)
            Several threads may call ``next`` on it.
        """
        estimators = [self.copy(extra) for extra in paramMaps]
        if self.isSet(self.modelDir):
            for i, estimator in enumerate(estimators):
                estimator.setParams(modelDir=f"{self.getOrDefault(self.modelDir)}/fit-{i}")
        separately = not self._shares_shards or any(
            p.name in _PARTITION_PARAMS for extra in paramMaps for p in extra
        )
        shared: list[tuple[PartitionedDataset, bool]] = []
        lock = threading.Lock()
        left = [len(estimators)]

        def fit_one(index: int) -> tuple[int, Any]:
            if isinstance(dataset, PartitionedDataset) or separately:
                return index, estimators[index].fit(dataset)
            with lock:
                if not shared:
                    self._check_params(dataset.sparkSession)
                    shared.append(self._partition(dataset))
            data, temporary = shared[0]
            try:
                return index, estimators[index].fit(data)
            finally:
                with lock:
                    left[0] -= 1
                    if temporary and left[0] == 0:
                        data.folder.delete()

        return _Concurrent(len(estimators), fit_one)

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy with the same uid and changed Params."""
        for name in self._object_params if extra else ():
            key = self.getParam(name)
            if extra is not None and key in extra:
                # Convert the value in the grid too, so that its validator can be saved.
                extra[key] = key.typeConverter(extra[key])
        return super().copy(extra)

    # -- steps ----------------------------------------------------------------------------

    def _fit_data(self, spark: SparkSession, data: PartitionedDataset) -> ShardModel:
        if data.manifest.label.is_regression != (self._task == "regression"):
            other = "regression" if data.manifest.label.is_regression else "classification"
            raise ConfigurationError(
                "task_differs",
                f"{type(self).__name__} is for a {self._task}, but {data.location!r} was "
                f"partitioned with task={other!r}.",
                f"Partition it with task={self._task!r}.",
            )
        note_shards(data)
        self._check_data(data)
        plan = json.loads(json.dumps(self._plan(data)))
        with self._lock() as lock:
            home = self._open_home(spark, plan)
            model = self._fit_shards(spark, data, home.content)
            for output in model.params:
                if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                    model._set(**{output.name: self.getOrDefault(self.getParam(output.name))})
            if lock is not None:
                lock.check()
            model._save_manifest(home)
        return model

    def _lock(self) -> AbstractContextManager[FolderLock | None]:
        """Lock modelDir against other fits; a temporary folder needs no lock."""
        if not self.isSet(self.modelDir):
            return nullcontext()
        folder = Folder.at(self.getOrDefault(self.modelDir))
        return FolderLock(folder, application=f"the fit of a {type(self).__name__}")

    def _grow(self, folder: Folder) -> None:
        """Prepare the folder of a fit that goes on with larger values of `_growing`."""

    def _check_data(self, data: PartitionedDataset) -> None:
        """Raise if the data cannot be learnt from, by its manifest alone."""

    def _partition(self, df: DataFrame) -> tuple[PartitionedDataset, bool]:
        spark = df.sparkSession
        if self.isSet(self.shardsDir):
            folder, temporary = Folder.at(self.getOrDefault(self.shardsDir)), False
        else:
            folder, temporary = temporary_folder(spark, "shards", "shardsDir"), True
        try:
            data = partition(
                df,
                folder.location,
                label=self.getOrDefault(self.labelCol),
                features=self._features_of(df),
                weight=self._value(self.weightCol),
                key=self._value(self.keyCol),
                categorical=self._value(self.categoricalCols) or (),
                task=self._task,
                shards=self._value(self.numShards),
                memory_per_task=self._shard_memory(),
                precision=self._precision,
                seed=self.getOrDefault(self.seed),
                overwrite=self.getOrDefault(self.overwrite),
            )
        except BaseException:
            if temporary:
                folder.delete()
            raise
        return data, temporary

    def _shard_memory(self) -> int | str | None:
        """Return the memory that decides the size of shards; None when their number is set."""
        return None if self.isSet(self.numShards) else self._value(self.memoryPerTask)

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
        if self.isSet(self.shardsDir) and folder.same_place(
            Folder.at(self.getOrDefault(self.shardsDir))
        ):
            raise ConfigurationError(
                "same_folder",
                f"modelDir and shardsDir are the same folder, {folder.location!r}.",
                "Give each a folder of its own.",
            )
        check_free_for_fit(
            folder,
            overwrite=self.getOrDefault(self.overwrite),
            resume=self.getOrDefault(self.resume),
        )

    def _open_home(self, spark: SparkSession, plan: dict[str, Any]) -> SavedFolder:
        if not self.isSet(self.modelDir):
            folder = temporary_folder(spark, "model", "modelDir")
        else:
            folder = Folder.at(self.getOrDefault(self.modelDir))
        home = begin_fit(
            folder,
            plan,
            overwrite=self.getOrDefault(self.overwrite),
            resume=self.getOrDefault(self.resume),
            growing=self._growing,
        )
        if home.grown:
            self._grow(home.content)
        return home


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
