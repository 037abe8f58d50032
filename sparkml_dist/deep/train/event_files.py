"""Event files for TensorBoard, written by rank 0."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkml_dist.deep.backend.with_horovod import tf
from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["EventFiles"]


class EventFiles:
    """Scalars of every epoch, under the names of Keras' own TensorBoard callback.

    ``train`` and ``validation`` hold ``epoch_loss`` and the other metrics; ``train`` also
    ``epoch_learning_rate``. On a local disk the files grow during the training; elsewhere they are
    copied at the end of each epoch.

    Parameters
    ----------
    folder : Folder
        Folder of the files.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        path = local_path(folder.location)
        self._temporary = None if path is not None else tempfile.TemporaryDirectory()
        self._path: str = path or self._temporary.name  # type: ignore[union-attr]
        self._writers: dict[str, Any] = {}

    def write(self, epoch: int, logs: Mapping[str, Any], learning_rate: float) -> None:
        """Add an epoch, counted from 0."""
        for name, value in {**logs, "learning_rate": learning_rate}.items():
            if not isinstance(value, float | int):
                continue
            kind = "validation" if name.startswith("val_") else "train"
            with self._writer(kind).as_default():
                _scalar(f"epoch_{name.removeprefix('val_')}", float(value), epoch)
        for kind, writer in self._writers.items():
            writer.flush()
            if self._temporary is not None:
                self._copy(kind)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _writer(self, kind: str) -> Any:
        if kind not in self._writers:
            self._writers[kind] = tf.summary.create_file_writer(os.path.join(self._path, kind))
        return self._writers[kind]

    def _copy(self, kind: str) -> None:
        local, target = Folder.at(os.path.join(self._path, kind)), self._folder.child(kind)
        target.create()
        for name in local.names():
            local.copy_file_to(name, target)


def _scalar(tag: str, value: float, step: int) -> None:
    from tensorflow.core.framework import summary_pb2

    # `tf.summary.scalar` needs TensorBoard, which may be missing on workers.
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars"),
        data_class=summary_pb2.DATA_CLASS_SCALAR,
    )
    tf.summary.write(tag, np.float32(value), step=step, metadata=metadata)
