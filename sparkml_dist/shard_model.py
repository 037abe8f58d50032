"""What all fitted models have in common: a folder of files, saved and loaded."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.base import Model
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasPredictionCol
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import StorageError
from sparkml_dist.ml_io import ModelReader, ModelWriter
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, ModelManifest, versions
from sparkml_dist.scoring import Scorer, within
from sparkml_dist.session import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.local import LocalClassifier, LocalRegressor
    from sparkml_dist.report.permutation import PermutationImportance

__all__ = ["ShardModel", "load_model"]


class ShardModel(Model, HasPredictionCol, MLWritable, MLReadable):
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

    memoryPerTask: Any = param(
        "memoryPerTask",
        "memory of a scoring task beyond its interpreter, like '512m': members that half of it "
        "does not hold are read anew for each block of rows",
        TypeConverters.toString,
    )

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
        self._setDefault(predictionCol="prediction", memoryPerTask=DEFAULT_MEMORY_PER_TASK)
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

    @abstractmethod
    def _target(self) -> str:
        """Return what is predicted, in a word or two."""

    def _task_scorer(self) -> Scorer:
        """Return what travels to the workers, where memory is bounded."""
        return self._bounded(self._scorer())

    def _bounded(self, scorer: Scorer) -> Scorer:
        """Return a scorer of this model that keeps members to half of a task's memory."""
        return within(scorer, parse_size(self.getMemoryPerTask(), "memoryPerTask") // 2)

    def getMemoryPerTask(self) -> str:
        """Return memoryPerTask: memory of a scoring task beyond its interpreter."""
        memory: str = self.getOrDefault(self.memoryPerTask)
        return memory

    def setMemoryPerTask(self, value: str) -> Any:
        """Set memoryPerTask: more of it keeps more of a large ensemble's members in memory.

        Parameters
        ----------
        value : str
            Like ``"2g"``.
        """
        parse_size(value, "memoryPerTask")
        return self._set(memoryPerTask=value)

    def _plain_scorer(self) -> Any:
        """Return the scorer that computes what the model means, by no shorter way."""
        return self._scorer()

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model as one ONNX graph, which predicts without Spark or scikit-learn.

        Its input is ``features``, float32 (N, n_features); its outputs are ``label`` (N,), the
        class itself as int64 or string, and ``probability``, float32 (N, n_classes), or
        ``prediction``, float32 (N,), for a regression. The members are loaded here.

        Parameters
        ----------
        path : str or path-like
            The file: a local path or URI.

        Raises
        ------
        ConfigurationError
            ``onnx_not_covered``, ``onnx_not_supported`` (names the member that cannot be
            converted), ``onnx_missing`` or ``onnx_too_large``.
        TrainingError
            ``onnx_differs``: what the graph predicts is not what the model predicts.
        """
        from sparkml_dist.ensemble.compiled.export import export_onnx

        export_onnx(self, path)

    @property
    def numFeatures(self) -> int:
        """Number of features."""
        return self.schema.n_features

    # -- hand-over ------------------------------------------------------------------------

    def to_sklearn(self) -> LocalClassifier | LocalRegressor:
        """Return the model as a scikit-learn estimator that predicts without Spark.

        Its files are read into this process.

        Returns
        -------
        LocalClassifier or LocalRegressor
        """
        from sparkml_dist.local import LocalClassifier, LocalRegressor

        kind = LocalRegressor if self.label.is_regression else LocalClassifier
        return kind(self._scorer(), self.schema, self.label)

    def permutationImportance(
        self,
        df: DataFrame,
        *,
        metric: str | None = None,
        repeats: int = 5,
        seed: int = 0,
        maxRows: int = 20_000,
        features: Sequence[str] | None = None,
    ) -> PermutationImportance:
        """Return how much worse the model is on `df` when a feature's values are shuffled.

        Computed on executors; see `sparkml_dist.report.permutation.permutation_importance`.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Rows that the model was not fitted on, with the label.
        metric : {"accuracy", "log_loss", "auc"} or {"rmse", "mae", "r2"}, optional
            Accuracy, or for a regression the root mean squared error, by default.
        repeats : int, default=5
        seed : int, default=0
        maxRows : int, default=20000
            Rows that are scored, once for every feature and repeat.
        features : sequence of str, optional
            Names of the features to shuffle; all by default.
        """
        from sparkml_dist.report.permutation import permutation_importance

        return permutation_importance(
            df,
            self._task_scorer(),
            self.schema,
            self.label,
            metric=metric,
            repeats=repeats,
            seed=seed,
            max_rows=maxRows,
            features=features,
        )

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
        return ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return ModelReader(cls)

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

    def _repr_html_(self) -> str:
        """Return what notebooks show in place of `repr`."""
        from sparkml_dist.report.html_summary import html_summary

        return html_summary(self)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self._target()}, {self.numFeatures:,} features, "
            f"{self.folder.location!r})"
        )


def load_model(path: str, *, trusted: Sequence[str] = ()) -> ShardModel:
    """Load a saved model of any class, its files checked against their hashes.

    Parameters
    ----------
    path : str
        The model's folder: a local path or URI that workers see as well.
    trusted : sequence of str
        Dotted names of types that member files may contain beside the allow-list.

    Returns
    -------
    ShardModel
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
    if not (isinstance(kind, type) and issubclass(kind, ShardModel)):
        raise StorageError(
            "unknown_model_class",
            f"{folder.location!r} names the class {manifest.class_name!r}, which is none of "
            "sparkml_dist's models.",
            "Upgrade sparkml_dist if a newer version wrote it.",
        )
    model: ShardModel = kind(
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
