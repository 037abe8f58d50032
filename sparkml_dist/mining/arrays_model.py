"""Models that consist of arrays: numpy files, and a manifest with their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from pyspark.ml.base import Model
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.html.summary import Row, ShowsItself, numbers
from sparkml_dist.html.values import memory
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.mining.table_model import hashed_files
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.persistence.saved_folder import SavedFolder
from sparkml_dist.session import get_session

__all__ = ["ArraysModel", "FilesBeside"]

_SHOWN = 12


class ArraysModel(ShowsItself, Persistable, AccessibleParams, Model, HasPredictionCol):
    """Base of the fitted models of points.

    Attributes
    ----------
    columns : PointColumns
        The columns that hold the coordinates.
    content : dict
        Everything else that the model needs, as JSON values.
    arrays : dict of ndarray
        Small arrays, by name.
    summary : dict
        Facts about the fit, such as seconds and counts.
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
        """Number of coordinates of a point."""
        return int(self.content["width"])

    def _shown(self) -> Iterator[Row]:
        names = list(self.columns.names)
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        yield Row("columns", more, code=names[:_SHOWN])
        yield from self._own_rows()
        facts = {k: v for k, v in self.summary.items() if k != "peak_worker_rss"}
        yield Row("fit", numbers(facts, ",.6g"))
        if peak := self.summary.get("peak_worker_rss"):
            yield Row("peak memory", f"{memory(peak)} in a worker")
        if isinstance(seconds := self.summary.get("seconds"), dict):
            yield Row("seconds", numbers(seconds, ",.1f"))

    def _own_rows(self) -> Iterator[Row]:
        """Return what the class itself has to show."""
        yield from ()

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name, array in self.arrays.items():
            write_array(folder, f"{name}.npy", array)
        return [ModelFile.of(folder, f"{name}.npy") for name in self.arrays]

    def _read_files(self, saved: Saved) -> None:
        """Read the arrays; the files have been checked before."""
        self.arrays = _read_arrays(saved, saved.names(suffix=".npy"))

    def _state(self) -> dict[str, Any]:
        return {
            "columns": self.columns.to_dict(),
            "content": self.content,
            "summary": self.summary,
        }

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        model = cls(
            columns=PointColumns.from_dict(state["columns"]),
            content=dict(state["content"]),
            arrays={},
            summary=dict(state["summary"]),
        )
        model._read_files(saved)
        return model


class FilesBeside:
    """Mixin for models that keep most of their content in files and not in memory.

    Attributes
    ----------
    folder : Folder
        Folder of the files.
    """

    folder: Folder
    arrays: dict[str, Any]

    #: The arrays that are kept in memory.
    _names: ClassVar[tuple[str, ...]]

    def _files(self) -> list[str]:
        """Return the names of the files."""
        raise NotImplementedError

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name in self._files():
            self.folder.copy_file_to(name, folder)
        copied = hashed_files(get_session(), folder, self._files())
        return [*super()._write_files(folder), *copied]  # type: ignore[misc]

    def _save_in_place(self) -> None:
        """Make a saved model of the folder in which the fit left the files."""
        model: Any = self
        beside = super()._write_files(self.folder)  # type: ignore[misc]
        model.files = (*beside, *hashed_files(get_session(), self.folder, self._files()))
        model._save_manifest(SavedFolder(self.folder))

    def _read_files(self, saved: Saved) -> None:
        self.folder = saved.folder
        self.arrays = _read_arrays(saved, [f"{name}.npy" for name in self._names])
        for name in self._files():
            saved.listed(name)


def _read_arrays(saved: Saved, names: Sequence[str]) -> dict[str, Any]:
    """Return arrays of a saved model, by their names without the suffix."""
    return {
        name.removesuffix(".npy"): read_array(saved.folder, saved.listed(name)) for name in names
    }
