"""Saving of estimators and transformers: their Params, and objects that some Params hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

from pyspark.ml.base import Estimator

from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.html.values import shortened
from sparkml_dist.models.fit_events import listening, observed_fit
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["SavedParams"]


class SavedParams(ShowsItself, AccessibleParams, Persistable, Estimator):
    """Base of objects whose saved state consists of their Params.

    A subclass with Params that hold objects names them in `_object_params`, writes them in
    `_save_object` and reads them in `_load_object`.
    """

    #: Params whose values are objects.
    _object_params: ClassVar[tuple[str, ...]] = ()

    def fit(self, dataset: Any, params: Any = None) -> Any:
        """Fit a model, or one for each of several dicts of Params; see PySpark's ``Estimator.fit``.

        Raises
        ------
        SparkMLDistError
            An error of the toolkit that a task raises arrives with its own class and code.
        """
        with self._with_hint():
            # Several fits are an event each.
            if not listening() or isinstance(params, list | tuple):
                return self._fit_telling(dataset, params)
            with observed_fit(self.copy(params) if params else self, dataset) as fit:
                fit.model = self._fit_telling(dataset, params)
            return fit.model

    def _fit_telling(self, dataset: Any, params: Any) -> Any:
        with errors_of_tasks():
            return super().fit(dataset, params)

    def _shown(self) -> Iterator[Row]:
        for param in self.params:
            if self.isSet(param):
                yield Row(param.name, shortened(" ".join(_text(self.getOrDefault(param)).split())))
        if not any(self.isSet(param) for param in self.params):
            yield Row("Params", quiet="all have their default values")

    def _shown_more(self) -> Iterator[Row]:
        for param in self.params:
            if not self.isSet(param):
                default = _text(self.getOrDefault(param)) if self.hasDefault(param) else "not set"
                yield Row(param.name, default, f"({param.doc})")

    def _save_object(self, folder: Folder, name: str) -> None:
        """Write the object in a Param to files of a folder."""
        raise NotImplementedError

    def _load_object(self, saved: Saved, name: str) -> None:
        """Set a Param to the object of `_save_object`, if there is one."""
        raise NotImplementedError

    def _needs_trust(self) -> Sequence[str]:
        own = self._value(self.getParam("trustedTypes")) if self.hasParam("trustedTypes") else None
        held = [self._value(self.getParam(name)) for name in self._object_params]
        inner = [t for x in held if isinstance(x, Persistable) for t in x._needs_trust()]
        return list(dict.fromkeys([*(own or ()), *inner]))

    def _saved_params(self) -> dict[str, Any]:
        return {
            p.name: value
            for p, value in self._paramMap.items()
            if p.name not in self._object_params
        }

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name in self._object_params:
            if self.isSet(self.getParam(name)):
                self._save_object(folder, name)
        return [ModelFile.of(folder, name) for name in folder.walk()]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        instance = cls()
        for name in cls._object_params:
            instance._load_object(saved, name)
        return instance


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
