"""A PySpark estimator for any Keras network: any loss, any number of inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.deep.input.target import Target, target_names, target_parts
from sparkml_dist.deep.network.output_facts import OutputFacts
from sparkml_dist.deep.network_estimator import NetworkEstimator
from sparkml_dist.deep.network_model import NetworkModel
from sparkml_dist.deep.scoring.output_scorer import OutputScorer, score_outputs
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["KerasEstimator", "KerasModel"]


class KerasModel(NetworkModel):
    """The model of `KerasEstimator`; see `NetworkModel` for the attributes.

    ``transform`` adds one column, `predictionCol`: a double when the network outputs one number
    per row, an array of floats (row-major) when it outputs several, and for a network with several
    outputs a struct of these, with the outputs' names.
    """

    @property
    def outputNames(self) -> list[str]:
        """Names of the network's outputs."""
        return [o.name for o in self._facts.outputs]

    @property
    def _facts(self) -> OutputFacts:
        return OutputFacts.from_dict(self.content["facts"])

    def _target(self) -> str:
        return f"outputs {', '.join(self.outputNames)}"

    def to_sklearn(self) -> Any:
        """Raise an error: scikit-learn has no estimators of this kind.

        Raises
        ------
        ConfigurationError
            ``no_single_target``.
        """
        raise ConfigurationError(
            "no_single_target",
            "A KerasModel is neither a classifier nor a regressor to scikit-learn.",
            "Use KerasClassifier or KerasRegressor, or the network itself: to_keras().",
        )

    def permutationImportance(self, df: DataFrame, **options: Any) -> Any:
        """Raise an error: the model has no metric.

        Raises
        ------
        ConfigurationError
            ``no_single_target``.
        """
        raise _no_single_target("permutationImportance")

    def partialDependence(self, df: DataFrame, *args: Any, **options: Any) -> Any:
        """Raise an error: the model has no single prediction to average.

        Raises
        ------
        ConfigurationError
            ``no_single_target``.
        """
        raise _no_single_target("partialDependence")

    def scoreCurves(self, df: DataFrame, **options: Any) -> Any:
        """Raise an error: the model has no classes.

        Raises
        ------
        ConfigurationError
            ``no_single_target``.
        """
        raise _no_single_target("scoreCurves")

    def _scorer(self) -> OutputScorer:  # type: ignore[override]
        file = self.files[0]
        inputs = InputSpec.from_dict(self.content["inputs"])
        return OutputScorer(self.folder, file.name, file.sha256, inputs, self._facts)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        column = self.getOrDefault(self.predictionCol)
        return score_outputs(dataset, self.schema, self._scorer(), column, cpus=cpus)


def _no_single_target(method: str) -> ConfigurationError:
    return ConfigurationError(
        "no_single_target",
        f"{method} needs a model that predicts one class or number, which a KerasModel does not.",
        "Use KerasClassifier or KerasRegressor.",
    )


class KerasEstimator(NetworkEstimator):
    """Any compiled Keras network, trained like a `KerasClassifier`.

    Parameters
    ----------
    builder : str or callable
        ``"FILE.py:FUNCTION"`` or a function that returns a compiled Keras 3 model. It gets the
        keyword arguments that `KerasClassifier` lists, if it accepts them; ``input_shape`` and
        ``normalization`` are dicts by input when there are several inputs.
    inputs : dict, optional
        For each of the network's inputs its columns (names or globs), or a dict with ``columns``,
        ``shape`` and ``dtype``. By default one input with all features except those that are
        only targets.
    targets : str, list of str or dict, optional
        Columns that the loss compares with the output, or a dict of such columns by output. The
        label column by default. Columns may be inputs too, as for an autoencoder; then the data
        needs no label column.
    task : {"regression", "classification"}, default="regression"
        Whether the label is a number or a class, which the loss gets as a code (sparse losses) or
        as a one-hot row.
    predictionCol : str, default="prediction"
        The column that the model adds; see `KerasModel`.
    numRanks, epochs, batchSize, inputShape, seed, …
        As for `KerasClassifier`.

    Examples
    --------
    >>> both = KerasEstimator(
    ...     builder="nets.py:two_towers",
    ...     inputs={"user": ["user_*"], "item": {"columns": ["item_id"], "dtype": "int32"}},
    ...     targets={"rating": "stars", "bought": "sold"},
    ... )
    >>> sorted(both.getTargets())
    ['bought', 'rating']
    """

    targets: Any = param(
        "targets",
        "columns that the loss compares with the output, or a dict from outputs to columns; the "
        "label column when not set",
    )
    task: Any = param(
        "task",
        "whether the label is a number ('regression') or a class ('classification')",
        TypeConverters.toString,
    )
    _model_class: ClassVar[type[NetworkModel]] = KerasModel

    @constructor
    def __init__(
        self,
        *,
        targets: Any = None,
        task: str = "regression",
        builder: Any = None,
        numRanks: int = 2,
        epochs: int = 10,
        batchSize: int | None = None,
        inputShape: Sequence[int] | None = None,
        inputs: Any = None,
        validationFraction: float = 0.0,
        stopMetric: str | None = None,
        stopMode: str = "auto",
        patience: int | None = None,
        tol: float = 0.0,
        restoreBest: bool | None = None,
        callbacks: Any = None,
        tensorboard: bool = False,
        compression: str = "none",
        accumulationSteps: int = 1,
        clipNorm: float | None = None,
        fusionMb: float | None = None,
        cycleMs: float | None = None,
        mixedPrecision: str = "none",
        learningRateScaling: str = "none",
        warmupEpochs: float = 0.0,
        transport: str = "auto",
        checkpointEvery: int = 0,
        maxRestarts: int = 2,
        keepCheckpoints: int = 0,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...

    @property
    def _task(self) -> Any:  # type: ignore[override]
        return self.getOrDefault(self.task)

    def _check_params(self, spark: SparkSession) -> None:
        if self._task not in ("regression", "classification"):
            raise ConfigurationError(
                "invalid_param",
                f"task must be 'regression' or 'classification'. Got {self._task!r}.",
            )
        self._target_names()
        super()._check_params(spark)

    def _target_names(self) -> dict[str, list[str]]:
        label = self.getOrDefault(self.labelCol)
        return target_names(self._value(self.targets) or label)

    def _target(self, data: PartitionedDataset) -> Target:
        label = data.manifest.label
        parts = target_parts(self._target_names(), data.schema, label.column)
        return Target.of(label, parts)

    def _inputs(self, data: PartitionedDataset) -> InputSpec:
        if self.isSet(self.inputs):
            return super()._inputs(data)
        taken = {c for part in self._target(data).parts for c in part.columns}
        if len(taken) == data.n_features:  # an autoencoder
            return super()._inputs(data)
        columns = tuple(i for i in range(data.n_features) if i not in taken)
        shape = InputSpec.single(len(columns), self._value(self.inputShape)).parts[0].shape
        return InputSpec((InputPart("", columns, shape),))

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {**super()._plan(data), "targets": self._target_names(), "task": self._task}

    def _partition(self, df: DataFrame) -> tuple[PartitionedDataset, bool]:
        from pyspark.sql import functions as F

        label = self.getOrDefault(self.labelCol)
        if label not in df.columns and [label] not in self._target_names().values():
            # Shards always have a label; this one is not used.
            df = df.withColumn(label, F.lit(0.0))
        return super()._partition(df)

    def _features_of(self, df: DataFrame) -> list[str] | None:
        found = super()._features_of(df)
        if found is None:
            return None
        label = self.getOrDefault(self.labelCol)
        wanted = [c for names in self._target_names().values() for c in names if c != label]
        known = match_columns("features", found, df.columns)
        if not wanted:
            return found
        return [
            *found,
            *(c for c in match_columns("targets", wanted, df.columns) if c not in known),
        ]

    def _used(self, data: PartitionedDataset, inputs: InputSpec) -> tuple[FeatureSchema, InputSpec]:
        """Return the columns that the network needs to predict, and its inputs among them."""
        used = {c for part in inputs.parts for c in part.columns}
        columns, at = [], 0
        places: dict[int, int] = {}
        for column in data.schema.columns:
            features = range(at, at + column.size)
            at += column.size
            if used.intersection(features):
                places.update((feature, len(places) + i) for i, feature in enumerate(features))
                columns.append(column)
        parts = tuple(
            replace(part, columns=tuple(places[c] for c in part.columns)) for part in inputs.parts
        )
        return replace(data.schema, columns=tuple(columns)), InputSpec(parts)
