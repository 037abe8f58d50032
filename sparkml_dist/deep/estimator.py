"""A Keras network as a PySpark estimator, trained by ranks over the shards."""

from __future__ import annotations

import hashlib
import inspect
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.classification_model import ShardClassificationModel
from sparkml_dist.classifier import ShardClassifier
from sparkml_dist.cluster.gang import check_gang
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.deep.builder_spec import BuilderFile, resolve_builder
from sparkml_dist.deep.scorer import KerasScorer
from sparkml_dist.deep.training import (
    REQUIRED,
    TrainingResult,
    checked_shape,
    rows_per_step,
    train_classifier,
)
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KerasClassificationModel", "KerasClassifier"]

_logger = logging.getLogger(__name__)

RESULT = "training.json"


class KerasClassificationModel(ShardClassificationModel):
    """What `KerasClassifier` fits: a network in a ``.keras`` file.

    Attributes
    ----------
    history : dict of str to list
        ``loss`` and the metrics of every epoch.
    summary : dict
        ``ranks`` (list of dict: ``rank``, ``host``, ``rows``, ``seconds``, ``peak_rss_mb``, …),
        ``steps`` of an epoch, ``parameters``, ``seconds`` by phase, ``history``.
    """

    _packages = ("keras", "tensorflow", "tensorflow-cpu", "horovod")

    @property
    def history(self) -> dict[str, list[Any]]:
        """``loss`` and the metrics of every epoch."""
        return dict(self.summary["history"])

    def _scorer(self) -> KerasScorer:
        file = self.files[0]
        return KerasScorer(
            self.folder,
            file.name,
            file.sha256,
            self.numClasses,
            tuple(self.content["input_shape"]),
            self.content["units"],
            self.content["logits"],
        )


class KerasClassifier(ShardClassifier):
    """One network, trained by several processes that each stream their part of the shards.

    The processes (*ranks*) run side by side in Spark tasks, one each, and average their gradients
    with Horovod after every step: the network is updated as by one process with batches of
    ``numRanks * batchSize`` rows. Each epoch sees every row exactly once.

    Parameters
    ----------
    builder : str or callable
        ``"mlp"``, ``"cnn"``, ``"FILE.py:FUNCTION"``, or a function that returns a compiled
        Keras 3 model. It is called with those of the keyword arguments ``input_shape``,
        ``n_classes``, ``normalization`` (mean and standard deviation of the features) and
        ``total_steps`` that it takes. Labels come as the loss wants them: class codes for a sparse
        loss, else one-hot rows, or 0 and 1 for a single output unit.
    numRanks : int, default=2
    epochs : int, default=10
    batchSize : int, optional
        Rows of one step on each rank; by default a power of two from 16 to 256 that makes about
        100 steps of an epoch.
    inputShape : list of int, optional
        Shape that a row's features are given, such as ``[28, 28, 1]``.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is cut; not used when `fit` is given a `PartitionedDataset`.
    modelDir, overwrite, resume
        Where the network and the logs of the ranks are left.

    References
    ----------
    Sergeev, Del Balso (2018), "Horovod: fast and easy distributed deep learning in TensorFlow",
    arXiv:1802.05799.

    Examples
    --------
    >>> digits = KerasClassifier(  # doctest: +SKIP
    ...     builder="cnn", numRanks=2, epochs=5, inputShape=[28, 28, 1]
    ... )
    >>> digits.fit(train).transform(test)  # doctest: +SKIP
    """

    builder: Any = param("builder", "'mlp', 'cnn', 'FILE.py:FUNCTION' or a function")
    numRanks: Any = param(
        "numRanks", "processes that train side by side (>= 1)", TypeConverters.toInt
    )
    epochs: Any = param("epochs", "passes over the data (>= 1)", TypeConverters.toInt)
    batchSize: Any = param(
        "batchSize",
        "rows of one step on each rank (>= 1); fits the number of rows when not set",
        TypeConverters.toInt,
    )
    inputShape: Any = param(
        "inputShape", "shape that a row's features are given", TypeConverters.toListInt
    )

    _object_params: ClassVar[tuple[str, ...]] = ("builder",)
    _defaults: ClassVar[dict[str, Any]] = {
        "numRanks": 2,
        "epochs": 10,
    }

    def _check_params(self, spark: SparkSession) -> None:
        if not self.isSet(self.builder):
            raise ConfigurationError(
                "no_builder",
                "KerasClassifier needs a builder.",
                "Pass builder='mlp', 'cnn', or a function that returns a compiled Keras model.",
            )
        resolve_builder(self.getOrDefault(self.builder))
        for name in ("numRanks", "epochs", "batchSize"):
            value = self._value(self.getParam(name))
            if value is not None and value < 1:
                raise ConfigurationError(f"invalid_{name}", f"{name} must be >= 1. Got {value}.")
        check_gang(spark, self.getOrDefault(self.numRanks), REQUIRED)

    def _check_data(self, data: PartitionedDataset) -> None:
        checked_shape(self._value(self.inputShape), data.n_features)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "builder": _identity(self.getOrDefault(self.builder)),
            "ranks": self.getOrDefault(self.numRanks),
            "epochs": self.getOrDefault(self.epochs),
            "batchSize": self._batch_size(data),
            "inputShape": list(checked_shape(self._value(self.inputShape), data.n_features)),
            "seed": self.getOrDefault(self.seed),
        }

    def _batch_size(self, data: PartitionedDataset) -> int:
        given: int | None = self._value(self.batchSize)
        return given or rows_per_step(data.n_rows, self.getOrDefault(self.numRanks))

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> KerasClassificationModel:
        shape = checked_shape(self._value(self.inputShape), data.n_features)
        if folder.exists(RESULT):
            _logger.info("the network in %s is trained already", folder.location)
            result = TrainingResult(**folder.read_json(RESULT))
        else:
            result = train_classifier(
                spark,
                data,
                self.getOrDefault(self.builder),
                folder,
                ranks=self.getOrDefault(self.numRanks),
                epochs=self.getOrDefault(self.epochs),
                batch_size=self._batch_size(data),
                input_shape=shape,
                seed=self.getOrDefault(self.seed),
                on_event=_log_event,
                description=type(self).__name__,
            )
            folder.write_json(RESULT, asdict(result))
        network = result.model
        return KerasClassificationModel(
            folder,
            data.schema,
            data.manifest.label,
            [ModelFile(network["file"], network["bytes"], network["sha256"])],
            {
                "input_shape": list(shape),
                "units": network["units"],
                "logits": network["logits"],
            },
            {
                "ranks": result.ranks,
                "steps": result.steps,
                "parameters": network["parameters"],
                "seconds": result.seconds,
                "peak_worker_rss_mb": max(r["peak_rss_mb"] for r in result.ranks),
                "history": result.history,
            },
        )

    def _save_object(self, folder: Folder, name: str) -> None:
        builder = self.getOrDefault(self.builder)
        if not isinstance(builder, str):
            raise StorageError(
                "builder_not_saved",
                f"The builder {getattr(builder, '__name__', builder)!r} is a function, which is "
                "not saved: that would take a pickle.",
                "Name it as 'FILE.py:FUNCTION'. The fitted model can be saved in any case.",
            )
        folder.write_json("builder.json", {name: builder})

    def _load_object(self, folder: Folder, name: str) -> None:
        if folder.exists("builder.json"):
            self._set(builder=folder.read_json("builder.json")[name])


def _identity(builder: Any) -> str:
    """Return a text that changes when the builder's own code does."""
    if isinstance(builder, str) and ":" not in builder:
        return builder
    function = resolve_builder(builder)
    if isinstance(function, BuilderFile):
        name, source = function.function, function.source
    else:
        name = getattr(function, "__qualname__", type(function).__name__)
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = name
    return f"{name}/{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def _log_event(event: dict[str, Any]) -> None:
    if event["event"] != "epoch":
        return
    logs = ", ".join(f"{k} {v:.4g}" for k, v in event["logs"].items() if isinstance(v, float))
    _logger.info("epoch %d: %s (%.1f s)", event["epoch"] + 1, logs, event["seconds"])
