"""Scores rows with a saved network: loaded once per worker process, in batches of a fixed size."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.network.keras_archive import check_network_archive
from sparkml_dist.deep.network.size import check_network_size
from sparkml_dist.deep.scoring.forward import forward
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from sparkml_dist.onnx.graph import OnnxGraph

__all__ = ["KerasScorer", "NetworkFile", "load_network", "task_cpus"]

_logger = logging.getLogger(__name__)

# A Spark worker may later run other Keras code, which may need the packages not listed here.
_HIDDEN = ("matplotlib", "sklearn")


@dataclass(frozen=True)
class NetworkFile:
    """A network in the form that is sent to the workers.

    Attributes
    ----------
    folder : Folder
        Folder of the network's file.
    file : str
        Name of the file.
    sha256 : str
        Checksum of the file, checked when it is loaded.
    inputs : InputSpec
        Conversion of features to the network's inputs.
    """

    folder: Folder
    file: str
    sha256: str
    inputs: InputSpec

    raw_scale: ClassVar[float] = 1.0

    def network(self, cpus: int = 1) -> Any:
        """Return the loaded network; see `load_network`."""
        return load_network(self.folder, self.file, self.sha256, cpus)


@dataclass(frozen=True)
class KerasScorer(NetworkFile):
    """A classifier's or regressor's network in the form that is sent to workers.

    Attributes
    ----------
    n_classes : int
        Number of classes; 0 for a regression.
    units : int
        Number of output units; 1 for a single unit in a binary classification.
    logits : bool
        Whether the outputs are logits.
    """

    n_classes: int
    units: int
    logits: bool

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        return f"keras/{self.sha256}/{self.logits}"

    def load(self) -> Callable[[Any], npt.NDArray[np.float32]]:
        """Return a function from features (n, d), dense or CSR, to probabilities (n, n_classes).

        For a regression, to predictions (n,).

        Raises
        ------
        StorageError
            ``file_altered`` or ``network_not_loaded``.
        """
        run = forward(self.network(task_cpus()), self.inputs)
        width = (self.n_classes,) if self.n_classes else ()

        def predict(X: Any) -> npt.NDArray[np.float32]:
            found = np.empty((X.shape[0], *width), np.float32)
            for rows, (outputs,) in run(X):
                found[rows] = self.probabilities(outputs) if self.n_classes else outputs.reshape(-1)
            return found

        return predict

    def onnx_combine(self, graph: OnnxGraph, prefix: str = "network_") -> str:
        """Add the network to a graph; return the name of its predictions."""
        from sparkml_dist.deep.embedding.plain import with_plain_embeddings
        from sparkml_dist.deep.scoring.onnx import add_network, add_probabilities

        network = with_plain_embeddings(self.network())
        outputs = add_network(graph, network, self.inputs, prefix)
        if not self.n_classes:
            return graph.node("Reshape", [outputs, graph.constant([-1], np.int64)])
        flat = graph.node("Reshape", [outputs, graph.constant([-1, self.units], np.int64)])
        return add_probabilities(graph, flat, self.units, logits=self.logits)

    def probe_rows(self, n_features: int, rows: int) -> npt.NDArray[np.float32]:
        """Return valid rows for comparing the network with its ONNX form."""
        from sparkml_dist.deep.scoring.onnx import probe_rows

        return probe_rows(self.network(), self.inputs, n_features, rows)

    def probabilities(self, outputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return class probabilities, shape (n, n_classes), from the outputs of the network."""
        values = np.asarray(outputs, np.float64).reshape(len(outputs), self.units)
        if self.units == 1:
            one = 1.0 / (1.0 + np.exp(-np.clip(values, -500, 500))) if self.logits else values
            return np.hstack([1.0 - one, one]).astype(np.float32)
        if self.logits:
            values = np.exp(values - values.max(axis=1, keepdims=True))
        # Sigmoid outputs of several units do not add up to one.
        total = values.sum(axis=1, keepdims=True)
        flat = np.full_like(values, 1.0 / self.units)
        return np.divide(values, total, out=flat, where=total > 0).astype(np.float32)


def load_network(folder: Folder, file: str, sha256: str, cpus: int = 1) -> Any:
    """Return the network in a ``.keras`` file, loaded in Keras' safe mode.

    Parameters
    ----------
    folder : Folder
    file : str
    sha256 : str
        SHA-256 checksum that the file must have.
    cpus : int, default=1
        Threads for TensorFlow, unless it has run operations already.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    StorageError
        ``file_altered`` or ``network_not_loaded``.
    """
    content = folder.read_bytes(file)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise StorageError(
            "file_altered",
            f"The model's file {folder.uri(file)!r} does not match its manifest: "
            "its SHA-256 checksum differs.",
            "It was truncated or altered; restore it, or fit the model again.",
        )
    keras = _keras(cpus)
    # Registers the layer with Keras.
    from sparkml_dist.deep.embedding import layer  # noqa: F401

    with tempfile.TemporaryDirectory() as local:
        path = os.path.join(local, "network.keras")
        with open(path, "wb") as stream:
            stream.write(content)
        try:
            config, stored = check_network_archive(content, _is_registered)
            check_network_size(keras, config, stored)
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise StorageError(
                "network_not_loaded",
                f"{folder.uri(file)!r} cannot be loaded in Keras' safe mode: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}",
                "A network may have Keras' own layers, and layers that this process has registered "
                "with keras.saving.register_keras_serializable before loading; nothing that a "
                "file names is imported. If the network has no other layers, the file was altered.",
            ) from error


def _is_registered(name: str) -> bool:
    import keras

    return keras.saving.get_registered_object(name) is not None


def _keras(cpus: int) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from sparkml_dist.deep.backend.light_imports import light_imports
    from sparkml_dist.deep.backend.quiet_stderr import quiet_stderr

    with quiet_stderr():
        with light_imports(_HIDDEN):
            import keras
            import tensorflow as tf
        try:
            tf.config.threading.set_intra_op_parallelism_threads(cpus)
            tf.config.threading.set_inter_op_parallelism_threads(cpus)
        except RuntimeError:  # TensorFlow has run operations in this process
            _logger.debug("TensorFlow's threads are set already")
        tf.constant(0)  # triggers the remaining start-up messages
    return keras


def task_cpus() -> int:
    """Return the cores that this task owns; 1 outside of a task."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return 1 if context is None else max(1, int(context.cpus()))
