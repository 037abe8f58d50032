"""Runs a model's ONNX graph on blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.models.scoring import Predict
from sparkml_dist.onnx.graph import FEATURES, require

__all__ = ["runtime"]

# A sparse block is converted to dense parts of about this size.
_DENSE_BYTES = 1 << 26


def runtime(content: bytes, label: Label, cores: int) -> Predict:
    """Return a function of blocks (n, n_features) that runs a graph in ONNX Runtime.

    Parameters
    ----------
    content : bytes
        Result of `onnx_bytes`.
    label : Label
    cores : int
        Number of threads.

    Returns
    -------
    callable
        Returns probabilities (n, n_classes), or predictions (n,) for a regression, float32.

    Raises
    ------
    ConfigurationError
        ``onnx_missing``.
    """
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning idle threads would use the cores of other tasks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    wanted = ["prediction" if label.is_regression else "probability"]

    def run(X: Any) -> npt.NDArray[np.float32]:
        block = np.ascontiguousarray(X, dtype=np.float32)
        found: npt.NDArray[np.float32] = session.run(wanted, {FEATURES: block})[0]
        return found

    def predict(X: Matrix) -> npt.NDArray[np.float32]:
        if not sp.issparse(X):
            return run(X)
        sparse: Any = X
        step = max(1, _DENSE_BYTES // (4 * X.shape[1]))
        parts = [run(sparse[at : at + step].toarray()) for at in range(0, X.shape[0], step)]
        return np.concatenate(parts) if parts else run(np.empty((0, X.shape[1]), np.float32))

    return predict
