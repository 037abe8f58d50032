"""Base of all fitted models over shards: a folder of files, saved and loaded."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pyspark.ml.base import Model
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.models.scoring import Scorer, within
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import get_session
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from sparkml_dist.models.file_scoring import ScoredFiles
    from sparkml_dist.models.local import LocalClassifier, LocalRegressor
    from sparkml_dist.models.scored_file import FileScorer

__all__ = ["ShardModel"]


class ShardModel(Persistable, AccessibleParams, Model, HasPredictionCol):
    """Base of the fitted models: a folder of files, scored on executors.

    Attributes
    ----------
    folder : Folder
        Folder of the model's files.
    schema : FeatureSchema
        Encoding of columns as features.
    label : Label
        The label column and its classes.
    content : dict
        State of the class itself, as in the manifest.
    summary : dict
        Facts about the fit.
    table : dict or None
        Schema of the training table, if the fit was run by a job; see `TableSchema`.
    """

    table: dict[str, Any] | None = None

    memoryPerTask: Any = param(
        "memoryPerTask",
        "memory of a scoring task beyond its interpreter, like '512m'; if half of it does not hold "
        "all members, they are read again for each block of rows",
        TypeConverters.toString,
    )

    _defaults: ClassVar[dict[str, Any]] = {
        "predictionCol": "prediction",
        "memoryPerTask": DEFAULT_MEMORY_PER_TASK,
    }

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
        self.folder = folder
        self.schema = schema
        self.label = label
        self.files = tuple(files)
        self.content = content
        self.summary = summary

    @abstractmethod
    def _scorer(self) -> Any:
        """Return the scorer that is sent to the workers."""

    @abstractmethod
    def _target(self) -> str:
        """Return a short description of the target."""

    def _task_scorer(self) -> Scorer:
        """Return the scorer that is sent to the workers, with bounded memory."""
        return self._bounded(self._scorer())

    def _bounded(self, scorer: Scorer) -> Scorer:
        """Return a scorer whose members take at most half of a task's memory."""
        return within(
            scorer, parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask") // 2
        )

    def setMemoryPerTask(self, value: str) -> Any:
        """Set memoryPerTask; with more, more members of a large ensemble stay in memory.

        Parameters
        ----------
        value : str
            For example ``"2g"``.
        """
        parse_size(value, "memoryPerTask")
        return self._set(memoryPerTask=value)

    @property
    def numFeatures(self) -> int:
        """Number of features."""
        return self.schema.n_features

    # -- hand-over ------------------------------------------------------------------------

    def to_sklearn(self) -> LocalClassifier | LocalRegressor:
        """Return the model as a scikit-learn estimator that predicts without Spark.

        This process reads the model's files.

        Returns
        -------
        LocalClassifier or LocalRegressor
        """
        from sparkml_dist.models.local import LocalClassifier, LocalRegressor

        kind = LocalRegressor if self.label.is_regression else LocalClassifier
        return kind(self._scorer(), self.schema, self.label)

    # -- files ----------------------------------------------------------------------------

    def score_files(
        self,
        input: str | os.PathLike[str],  # noqa: A002 - beside output
        output: str | os.PathLike[str],
        *,
        keep: Sequence[str] | None = None,
        overwrite: bool = False,
        resume: bool = False,
    ) -> ScoredFiles:
        """Score Parquet files into Parquet files; faster than `transform`, with the same values.

        Tasks read and write the files themselves, a few megabytes at a time, so that no row is
        handed over between Spark and Python. Vectors are written as arrays.

        Parameters
        ----------
        input : str or path-like
            A Parquet file, or a folder of them, also with partition columns (``day=1``): a local
            path or URI that all workers reach.
        output : str or path-like
            Folder to write, partitioned like the input.
        keep : sequence of str, optional
            Columns of the input to write beside the scores; all by default.
        overwrite : bool, default=False
            Replace what is in `output`, once the new files are complete.
        resume : bool, default=False
            Complete an earlier run that was interrupted; finished files are not scored again.

        Returns
        -------
        ScoredFiles
            ``location``, ``rows``, ``files``, ``kept_files`` and ``peak_worker_rss``.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` for a model whose scores are more than those of a classifier or
            regressor; ``plan_differs``.
        StorageError
            ``no_parquet``, ``output_exists``, ``output_is_input``, and those of the store.
        DataError
            ``column_not_found``, ``non_numeric_feature``.

        Examples
        --------
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> iris.write.parquet(f"{folder}/flowers")
        >>> model.score_files(f"{folder}/flowers", f"{folder}/scored").rows
        150
        """
        from sparkml_dist.models.file_scoring import score_files

        scorer = self._file_scorer()
        if scorer is None:
            raise ConfigurationError(
                "invalid_param",
                f"A {type(self).__name__} has no scores of files.",
                "Use transform, and write its result.",
            )
        if keep is not None:
            scorer = replace(scorer, keep=tuple(keep))
        return score_files(
            get_session(),
            scorer,
            input,
            output,
            identity=[file.sha256 for file in self.files],
            overwrite=overwrite,
            resume=resume,
        )

    def _file_scorer(self) -> FileScorer | None:
        """Return how rows of files are scored, where it is as `transform` does."""
        return None

    # -- saving and loading ---------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {
            "features": self.schema.to_dict(),
            "label": self.label.to_dict(),
            "content": self.content,
            "summary": self.summary,
            "table": self.table,
        }

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for file in self.files:
            self.folder.copy_file_to(file.name, folder)
        return self.files

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        _check_records(saved, state["content"])
        model = cls(
            saved.folder,
            FeatureSchema.from_dict(state["features"]),
            Label.from_dict(state["label"]),
            saved.files,
            dict(state["content"]),
            dict(state["summary"]),
        )
        model.table = None if state["table"] is None else dict(state["table"])
        return model

    def _check_restored(self) -> None:
        self._scorer()

    def copy(self, extra: dict[Param, Any] | None = None) -> Any:
        """Return a copy that shares the model's files."""
        return super().copy(extra)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self._target()}, {self.numFeatures:,} features, "
            f"{self.folder.location!r})"
        )


def _check_records(saved: Saved, content: Any) -> None:
    """Raise if a record in a model's content names a file that the manifest does not list.

    Raises
    ------
    StorageError
        ``unlisted_file``, or ``altered_manifest`` for a file with two checksums.
    """
    checksums = {file.name: file.sha256 for file in saved.files}
    listed: dict[str, list[ModelFile]] = {}
    records = [content]
    while records:
        value = records.pop()
        if isinstance(value, list):
            records.extend(v for v in value if isinstance(v, dict | list))
        elif isinstance(value, dict):
            records.extend(v for v in value.values() if isinstance(v, dict | list))
            name = value.get("file")
            if not isinstance(name, str) or value.get("refused"):
                continue
            if name in checksums and value.get("sha256") in (None, checksums[name]):
                continue
            # Some records name their files relative to a folder inside.
            if not listed:
                for file in saved.files:
                    listed.setdefault(file.name.rpartition("/")[2], []).append(file)
            near = [
                f
                for f in listed.get(name.rpartition("/")[2], ())
                if f.name == name or f.name.endswith(f"/{name}")
            ]
            if not near:
                saved.listed(name)
            if "sha256" in value and all(f.sha256 != value["sha256"] for f in near):
                raise ValueError(f"{name!r} is recorded with two checksums")
