"""A PySpark classifier by a Bayesian network of the class and categorical features."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.class_scorer import ClassScorer
from sparkml_dist.graphical.counting.shard_rows import ShardRows, check_categorical
from sparkml_dist.graphical.learning import FitPlan
from sparkml_dist.graphical.learning_in_task import learn_from_shards
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.network_model import TABLES, BayesianNetworkModel
from sparkml_dist.graphical.parameters import Prior
from sparkml_dist.graphical.structure_params import HasStructureSearch
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.report.fitted_model import FittedModel

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.report.plots.shown_figure import ShownFigure

__all__ = ["BayesianNetworkClassificationModel", "BayesianNetworkClassifier"]

_STRUCTURES = ("naive-bayes", "tan", "hill-climbing", "exact")


class BayesianNetworkClassificationModel(FittedModel, ShardClassificationModel):
    """The model of `BayesianNetworkClassifier`; see `ShardModel` for the other attributes.

    Attributes
    ----------
    network : Network
        Of the features and, last, the class.
    summary : dict
        As that of `BayesianNetworkModel`.
    """

    @property
    def network(self) -> Network:
        """The network, read from the model's folder."""
        return self._scorer().network()

    def plot(self) -> ShownFigure:
        """Return a picture of the graph, which notebooks show."""
        return self.to_network().plot()

    def to_network(self) -> BayesianNetworkModel:
        """Return the network as a model that can be queried, sampled from and written as BIF."""
        return BayesianNetworkModel(self.network, dict(self.summary))

    def _scorer(self) -> ClassScorer:
        file = {f.name: f for f in self.files}[TABLES]
        return ClassScorer(
            self.folder, file.name, file.sha256, self.content["network"], len(self.label.classes)
        )

    def _check_restored(self) -> None:
        network = self._scorer().network()
        names = (*(c.name for c in self.schema.columns), self.label.column)
        if network.names != names:
            raise ValueError("the network has other variables than the model")


class BayesianNetworkClassifier(ShardClassifier, HasStructureSearch):
    """Classifies by a Bayesian network of the class and features that hold categories.

    All features are categories: each distinct value is a state. Their counts are exact sums over
    shards. Missing values of a row to score are summed over, and so are states that training did
    not see.

    Parameters
    ----------
    structure : str, default="tan"
        ``"naive-bayes"``: features are independent given the class. ``"tan"``: a tree among them.
        ``"hill-climbing"`` and ``"exact"``: any graph; the class is a variable like the others.
    smoothing : float, default=1
        Added to each count of a feature's state; 0 for maximum likelihood.
    score, equivalentSampleSize, maxParents, tabuLength, numRestarts, whiteList, blackList
        Of ``"hill-climbing"`` and ``"exact"``; as for `BayesianNetwork`.
    handleInvalid : str, default="error"
        Missing values in training: ``"error"``, ``"skip"`` or ``"em"``, as for `BayesianNetwork`.
    maxIter, tol : int, float
        Of EM.
    form : str, default="auto"
        Where rows are counted: ``"jobs"``, ``"task"`` or ``"auto"``, as for `BayesianNetwork`.
    featuresCol, featuresCols, labelCol, keyCol
        Roles of columns; by default ``label``, and all other columns are features.
    categoricalCols
        Not needed: all features hold categories.
    weightCol
        Not supported: rows are counted without weights.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is partitioned.
    modelDir, overwrite, resume
        Folder of the model.
    seed : int, default=0

    References
    ----------
    Friedman, Geiger, Goldszmidt (1997), "Bayesian network classifiers", Machine Learning 29.

    Examples
    --------
    >>> rows = [("red", "round", "apple"), ("yellow", "long", "banana"), ("red", "long", "pepper")]
    >>> table = spark.createDataFrame(rows * 8, "colour string, shape string, label string")
    >>> model = BayesianNetworkClassifier(structure="naive-bayes", numShards=1).fit(table)
    >>> [row.predictedLabel for row in model.transform(table.limit(3)).collect()]
    ['apple', 'banana', 'pepper']
    """

    smoothing: Any = param(
        "smoothing", "added to each count of a feature's state (>= 0)", TypeConverters.toFloat
    )

    @constructor
    def __init__(
        self,
        *,
        structure: str = "tan",
        smoothing: float = 1.0,
        score: str = "bic",
        equivalentSampleSize: float = 10.0,
        maxParents: int = 5,
        tabuLength: int = 10,
        numRestarts: int = 1,
        whiteList: Sequence[Sequence[str]] | None = None,
        blackList: Sequence[Sequence[str]] | None = None,
        handleInvalid: str = "error",
        maxIter: int = 100,
        tol: float = 1e-6,
        form: str = "auto",
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
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _check_params(self, spark: SparkSession) -> None:
        self._class_plan()
        if self.isSet(self.weightCol):
            raise ConfigurationError(
                "option_not_used",
                f"weightCol is {self.getOrDefault(self.weightCol)!r}, but rows are counted "
                "without weights.",
                "Leave weightCol out.",
            )

    def _check_data(self, data: PartitionedDataset) -> None:
        check_categorical(data)
        names = (*data.feature_names, data.manifest.label.column)
        self._class_plan(data.manifest.label.column).structure.check(names)

    def _class_plan(self, label: str | None = None) -> FitPlan:
        value: Any = self.getOrDefault
        structure, smoothing = value(self.structure), value(self.smoothing)
        if structure not in _STRUCTURES:
            raise ConfigurationError(
                "invalid_param",
                f"structure must be one of {', '.join(_STRUCTURES)}. Got {structure!r}.",
            )
        if not (math.isfinite(smoothing) and smoothing >= 0):
            raise ConfigurationError("invalid_param", f"smoothing must be >= 0. Got {smoothing!r}.")
        self._check_missing_values()
        plan = self._structure_plan(target=label or value(self.labelCol))
        prior = Prior("k2", smoothing) if smoothing else Prior()
        return FitPlan(
            plan,
            prior,
            value(self.handleInvalid),
            value(self.maxIter),
            value(self.tol),
            plain_target=True,
        )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "plan": asdict(self._class_plan(data.manifest.label.column)),
        }

    def _partition(self, df: DataFrame) -> tuple[PartitionedDataset, bool]:
        """Partition a DataFrame all of whose features hold categories."""
        features = self._features_of(df)
        if features is None:
            roles = (self.getOrDefault(self.labelCol), self._value(self.keyCol))
            features = [name for name in df.columns if name not in roles]
        columns = {self.featuresCols: features, self.categoricalCols: features}
        twin = self.copy(columns if features else None)
        return ShardEstimator._partition(twin, df)

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> BayesianNetworkClassificationModel:
        start = time.perf_counter()
        label = data.manifest.label
        learned = learn_from_shards(
            ShardRows(spark, data), self._class_plan(label.column), self.getOrDefault(self.form)
        )
        network = learned.network
        write_array(folder, TABLES, network.flat_tables())
        facts = {**learned.facts, "seconds": time.perf_counter() - start}
        return BayesianNetworkClassificationModel(
            folder,
            data.schema,
            label,
            [ModelFile.of(folder, TABLES)],
            {"network": network.to_dict()},
            facts,
        )
