"""Writes a model as one ONNX graph, which predicts without Spark, Python or scikit-learn."""

from __future__ import annotations

import json
import logging
import os
from typing import Any, Protocol

import numpy as np

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.models.scoring import Predict, Scorer
from sparkml_dist.onnx.check import (
    agreement,
    disagreement,
    has_onnxruntime,
    probe_rows,
)
from sparkml_dist.onnx.graph import OnnxGraph, require
from sparkml_dist.onnx.runtime import runtime
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["ExportsOnnx", "OnnxModel", "onnx_bytes"]

_logger = logging.getLogger(__name__)

# Number of rows to compare, and the share that may differ: a scaler before a tree computes in
# float32 in ONNX and in float64 here, so that rows at a threshold may take the other branch.
_PROBES = 1000
_SHARE = 0.01


class OnnxModel(Protocol):
    """A fitted model that can be exported to ONNX if its scorer can."""

    schema: FeatureSchema
    label: Label

    def _scorer(self) -> Any: ...


class ExportsOnnx:
    """Mixin of the models that can be exported to ONNX."""

    def export_onnx(self: OnnxModel, path: str | os.PathLike[str]) -> None:
        """Write the model as one ONNX graph, which predicts without Spark or scikit-learn.

        Its input is ``features``, float32 (N, n_features). Its outputs are ``label`` (N,), the
        class itself as int64 or string, and ``probability``, float32 (N, n_classes); for a
        regression, the output is ``prediction``, float32 (N,). The members are loaded in this
        process, one after the other.

        Parameters
        ----------
        path : str or path-like
            The file, as a local path or a URI.

        Raises
        ------
        ConfigurationError
            ``onnx_not_supported`` (naming the member that cannot be converted), ``onnx_missing`` or
            ``onnx_too_large``.
        TrainingError
            ``onnx_differs`` if the graph's predictions differ from the model's.
        """
        # A scorer that can be exported has ``onnx_combine(graph)``, which adds the model to an
        # `OnnxGraph` and returns the name of the probabilities, float32 (N, n_classes), or of a
        # regression's predictions, float32 (N,). It may have ``probe_rows(n_features, rows)``,
        # which returns rows to compare.
        scorer = self._scorer()
        content = onnx_bytes(scorer, self.label, self.schema, type(self).__name__)
        if has_onnxruntime():
            _check(scorer, runtime(content, self.label, 1), self.schema.n_features)
        target = Folder.at(path)
        target.parent().write_bytes(target.name, content)


def _check(scorer: Any, exported: Predict, n_features: int) -> None:
    """Raise if the graph predicts differently; warn if it differs for missing values only."""
    bank, plain = getattr(scorer, "bank", None), scorer.load()
    for missing in (False, True):
        if hasattr(scorer, "probe_rows"):
            probes = scorer.probe_rows(n_features, _PROBES)
        else:
            probes = probe_rows(bank, n_features, _PROBES, missing=missing)
        problem = disagreement(agreement(plain, exported, probes), share=_SHARE)
        if problem and not missing:
            raise TrainingError(
                "onnx_differs",
                f"The ONNX graph does not predict the same as the model: {problem}.",
                "Use model.to_sklearn() instead, which predicts exactly what the model does.",
            )
        if problem:
            _logger.warning("the ONNX file treats missing values differently: %s", problem)


def onnx_bytes(scorer: Scorer, label: Label, schema: FeatureSchema, name: str) -> bytes:
    """Return a model as the content of an ONNX file.

    Parameters
    ----------
    scorer : Scorer
        With ``onnx_combine``.
    label : Label
    schema : FeatureSchema
    name : str
        Name of the model's class, for messages.

    Returns
    -------
    bytes
        With input ``features`` (N, n_features) and outputs ``label`` (N,) and ``probability``
        (N, n_classes), or ``prediction`` (N,).

    Raises
    ------
    ConfigurationError
        As in `ExportsOnnx.export_onnx`.
    """
    combine = getattr(scorer, "onnx_combine", None)
    if combine is None:
        raise ConfigurationError(
            "onnx_not_supported",
            f"A {name} cannot be exported to ONNX: its way of combining members is not supported.",
            "Bagging and voting of scikit-learn learners are supported.",
        )
    graph = OnnxGraph(schema.n_features, len(label.classes))
    types = require("onnx").TensorProto
    result = combine(graph)
    outputs: dict[str, tuple[str, Any, list[Any]]]
    if label.is_regression:
        outputs = {"prediction": (result, types.FLOAT, ["N"])}
    else:
        best = graph.node("ArgMax", [result], axis=1, keepdims=0)
        values, kind = _class_values(label)
        chosen = graph.node("Gather", [graph.constant(values), best], axis=0)
        outputs = {
            "label": (chosen, getattr(types, kind), ["N"]),
            "probability": (result, types.FLOAT, ["N", len(label.classes)]),
        }
    model = graph.model(
        outputs,
        feature_names=json.dumps(schema.feature_names),
        classes=json.dumps(list(label.classes)),
        label=label.column,
    )
    content: bytes = model.SerializeToString()
    return content


def _class_values(label: Label) -> tuple[Any, str]:
    if label.kind == "string":
        return np.array([str(c) for c in label.classes], dtype=object), "STRING"
    if label.kind in ("integer", "boolean") or all(float(c).is_integer() for c in label.classes):
        return np.array([int(c) for c in label.classes], dtype=np.int64), "INT64"
    return np.array(label.classes, dtype=np.float64), "DOUBLE"
