"""The folder in which a fit of several stages commits its results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sparkml_dist.params import HasModelDir
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.saved_folder import SavedFolder, begin_fit, check_free_for_fit
from sparkml_dist.persistence.workspace import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FitsIntoFolder"]


class FitsIntoFolder(HasModelDir):
    """Mixin of the estimators whose fit can be resumed from what it has committed to modelDir."""

    def _check_model_dir(self) -> None:
        """Raise where modelDir holds something that this fit may not replace or resume.

        Raises
        ------
        StorageError
            ``output_exists``.
        """
        if self.isSet(self.modelDir):
            check_free_for_fit(
                Folder.at(self.getOrDefault(self.modelDir)),
                overwrite=self.getOrDefault(self.overwrite),
                resume=self.getOrDefault(self.resume),
            )

    @contextmanager
    def _model_home(self, spark: SparkSession, plan: dict[str, Any]) -> Iterator[SavedFolder]:
        """Yield the folder for the model of a fit with this plan, locked against other fits."""
        given = self.isSet(self.modelDir)
        folder = (
            Folder.at(self.getOrDefault(self.modelDir))
            if given
            else temporary_folder(spark, "model", "modelDir")
        )
        who = f"the fit of a {type(self).__name__}"
        with FolderLock(folder, application=who) if given else nullcontext() as lock:
            yield begin_fit(
                folder,
                json.loads(json.dumps(plan)),
                overwrite=self.getOrDefault(self.overwrite),
                resume=self.getOrDefault(self.resume),
            )
            if lock is not None:
                lock.check()
