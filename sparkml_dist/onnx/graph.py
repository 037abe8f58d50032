"""Builds one ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError

__all__ = ["FEATURES", "OPSETS", "OnnxGraph", "require"]

FEATURES = "features"
ML = "ai.onnx.ml"
# From 2022 and 2021: runtimes have supported them for long.
OPSETS = {"": 18, ML: 3}
_IR_VERSION = 8
# Limit of a protobuf message, with a margin for what surrounds the nodes.
_MAX_BYTES = 2**31 - 2**20


def require(package: str) -> Any:
    """Import a package of the extra ``onnx``.

    Raises
    ------
    ConfigurationError
        ``onnx_missing``.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigurationError(
            "onnx_missing",
            f"ONNX needs the package {package!r}, which is not installed here ({error}).",
            "pip install 'sparkml_dist[onnx]'",
        ) from error


class OnnxGraph:
    """Nodes and constants, with a unique name for each tensor.

    Parameters
    ----------
    n_features : int
        Width of the input ``features``, float32 of shape (N, n_features).
    n_classes : int
        0 for a regression.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
    constants : list of onnx.TensorProto
    """

    def __init__(self, n_features: int, n_classes: int) -> None:
        self._onnx = require("onnx")
        self.n_features = n_features
        self.n_classes = n_classes
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0
        self._bytes = 0

    def name(self, stem: str) -> str:
        """Return a name that no other tensor has."""
        self._count += 1
        return f"{stem}_{self._count}"

    def constant(self, value: npt.ArrayLike | Sequence[str], dtype: Any = None) -> str:
        """Add a constant; return its name."""
        array = np.asarray(value, dtype=dtype)
        tensor = self._onnx.numpy_helper.from_array(array, self.name("constant"))
        self.add([], [tensor])
        return str(tensor.name)

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        attributes: Sequence[Any] = (),
        domain: str = "",
        **more: Any,
    ) -> str:
        """Add a node with one output; return the output's name.

        Parameters
        ----------
        operator : str
            An operator of ``OPSETS``.
        inputs : sequence of str
            Names of the input tensors.
        attributes : sequence of onnx.AttributeProto
            Long attributes, which the caller creates.
        domain : str, default=""
        **more
            Short attributes.
        """
        output = self.name(operator.lower())
        node = self._onnx.helper.make_node(operator, inputs, [output], domain=domain, **more)
        node.attribute.extend(attributes)
        self.add([node])
        return output

    def add(self, nodes: Sequence[Any], constants: Sequence[Any] = ()) -> None:
        """Add nodes and constants without changes.

        Raises
        ------
        ConfigurationError
            ``onnx_too_large``.
        """
        self._bytes += sum(x.ByteSize() for x in (*nodes, *constants))
        if self._bytes > _MAX_BYTES:
            raise ConfigurationError(
                "onnx_too_large",
                f"The model as ONNX is larger than {_MAX_BYTES / 2**30:.1f} GiB, the limit of an "
                "ONNX file.",
                "Use fewer or smaller members.",
            )
        self.nodes.extend(nodes)
        self.constants.extend(constants)

    def rows(self) -> str:
        """Add and return the name of the number of rows of ``features``, shape (1,)."""
        shape = self.node("Shape", [FEATURES])
        return self.node("Slice", [shape, self.constant([0]), self.constant([1])])

    def columns(self, features: Sequence[int] | None) -> str:
        """Return the name of some columns of ``features``; None selects all."""
        if features is None:
            return FEATURES
        return self.node("Gather", [FEATURES, self.constant(features, np.int64)], axis=1)

    def model(self, outputs: dict[str, tuple[str, Any, list[Any]]], **metadata: str) -> Any:
        """Return the checked model.

        Parameters
        ----------
        outputs : dict of (str, int, list)
            Tensor, ONNX type and shape of each output.
        **metadata
            Texts to store in the file.

        Returns
        -------
        onnx.ModelProto
        """
        helper = self._onnx.helper
        for output, (tensor, _, _) in outputs.items():
            self.add([helper.make_node("Identity", [tensor], [output])])
        graph = helper.make_graph(
            self._used(set(outputs)),
            "ensemble",
            [
                helper.make_tensor_value_info(
                    FEATURES, self._onnx.TensorProto.FLOAT, ["N", self.n_features]
                )
            ],
            [helper.make_tensor_value_info(n, kind, s) for n, (_, kind, s) in outputs.items()],
            self.constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*item) for item in OPSETS.items()],
            ir_version=_IR_VERSION,
            producer_name="sparkml_dist",
        )
        helper.set_model_props(model, metadata)
        self._onnx.checker.check_model(model)
        return model

    def _used(self, wanted: set[str]) -> list[Any]:
        """Return the nodes that the outputs depend on, in order; drop unused constants."""
        kept = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                kept.append(node)
                wanted.update(node.input)
        self.constants = [c for c in self.constants if c.name in wanted]
        return kept[::-1]
