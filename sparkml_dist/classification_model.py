"""What all fitted classifiers have in common: transform, save, load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.base import Model
from pyspark.ml.param import Param
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import StorageError
from sparkml_dist.ml_io import ModelReader, ModelWriter
from sparkml_dist.params import OUTPUT_DEFAULTS, HasPredictionColumns
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, ModelManifest, versions
from sparkml_dist.scoring import OutputColumns, Scorer, score
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ShardClassificationModel", "load_model"]


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
        self._setDefault(**OUTPUT_DEFAULTS)
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
