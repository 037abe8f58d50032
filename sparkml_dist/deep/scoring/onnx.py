"""Converts Keras networks to parts of an ONNX graph; imports TensorFlow in functions only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.onnx.graph import OPSETS, OnnxGraph, require

__all__ = ["add_network", "add_probabilities", "probe_rows"]


def add_network(graph: OnnxGraph, network: Any, inputs: InputSpec, prefix: str) -> str:
    """Add a network; return the name of its output, float32 (N, units).

    Parameters
    ----------
    graph : OnnxGraph
    network : keras.Model
        A network with one output.
    inputs : InputSpec
        Conversion of features to its inputs.
    prefix : str
        Prefix of its tensors' names, different from those of other networks.

    Raises
    ------
    ConfigurationError
        ``onnx_not_supported``, or ``onnx_missing``.
    """
    require("tf2onnx")
    compose = require("onnx.compose")
    helper = require("onnx.numpy_helper")
    try:
        model, captured = _converted(network, inputs)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigurationError(
            "onnx_not_supported",
            f"The network {network.name!r} cannot be converted to ONNX: {reason}",
            "model.to_keras() returns the network itself.",
        ) from error
    part = compose.add_prefix(model, prefix).graph
    named = {f"{prefix}input_{i}": _input(graph, p) for i, p in enumerate(inputs.parts)}
    for node in part.node:
        for i, name in enumerate(node.input):
            node.input[i] = named.get(name, name)
    constants = [helper.from_array(value, f"{prefix}{name}") for name, value in captured.items()]
    graph.add(part.node, [*part.initializer, *constants])
    return str(part.output[0].name)


def _input(graph: OnnxGraph, part: InputPart) -> str:
    """Add the operations of `InputPart.take`; return the name of the input."""
    everything = part.columns == tuple(range(graph.n_features))
    found = graph.columns(None if everything else part.columns)
    if part.is_whole and part.missing and max(part.missing) >= 0:
        codes = graph.constant(part.missing, np.float32)
        found = graph.node("Where", [graph.node("IsNaN", [found]), codes, found])
    if part.dtype != "float32":
        types = require("onnx").helper
        found = graph.node("Cast", [found], to=types.np_dtype_to_tensor_dtype(np.dtype(part.dtype)))
    return graph.node("Reshape", [found, graph.constant([-1, *part.shape], np.int64)])


def _converted(network: Any, inputs: InputSpec) -> tuple[Any, dict[str, Any]]:
    """Return tf2onnx's model of a network, and the constants that it leaves as inputs."""
    import tensorflow as tf
    import tf2onnx

    parts = inputs.parts
    signature = [
        tf.TensorSpec((None, *p.shape), p.dtype, name=f"input_{i}") for i, p in enumerate(parts)
    ]

    @tf.function(input_signature=signature, jit_compile=False, autograph=False)
    def forward(*tensors: Any) -> Any:
        named = {p.name: tensor for p, tensor in zip(parts, tensors, strict=True)}
        outputs = network(tensors[0] if inputs.is_single else named, training=False)
        return tf.cast(outputs, tf.float32)

    model, _ = tf2onnx.convert.from_function(forward, signature, opset=OPSETS[""])
    concrete = forward.get_concrete_function()
    wanted = {tensor.name for tensor in model.graph.input}
    # Tensors that layers hold as constants, such as the moments of a normalization.
    captured = {
        inside.name: outside.numpy()
        for outside, inside in concrete.graph.captures
        if inside.name in wanted
    }
    return model, captured


def probe_rows(
    network: Any, inputs: InputSpec, n_features: int, rows: int, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return random valid rows: normal numbers, and codes for integer inputs and embeddings.

    Parameters
    ----------
    network : keras.Model
    inputs : InputSpec
    n_features, rows : int
    seed : int, default=0

    Returns
    -------
    ndarray of float32, shape (rows, n_features)
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, n_features), dtype=np.float32)
    sizes = [
        int(layer.input_dim)
        for layer in network._flatten_layers()
        if hasattr(layer, "input_dim") and hasattr(layer, "embeddings")
    ]
    smallest = min(sizes, default=2)
    for part in inputs.parts:
        if part.is_whole or (inputs.is_single and sizes):
            below = min(smallest, part.vocabulary or smallest)
            X[:, part.selection] = rng.integers(0, below, (rows, len(part.columns)))
    return X


def add_probabilities(graph: OnnxGraph, outputs: str, units: int, *, logits: bool) -> str:
    """Add the conversion of a classifier's outputs (N, units) to probabilities (N, n_classes).

    Equal to `sparkml_dist.deep.scoring.scorer.KerasScorer.probabilities`.
    """
    if units == 1:
        one = graph.node("Sigmoid", [outputs]) if logits else outputs
        rest = graph.node("Sub", [graph.constant(1.0, "float32"), one])
        return graph.node("Concat", [rest, one], axis=1)
    if logits:
        return graph.node("Softmax", [outputs], axis=1)
    total = graph.node("ReduceSum", [outputs, graph.constant([1], "int64")], keepdims=1)
    shares = graph.node("Div", [outputs, total])
    positive = graph.node("Greater", [total, graph.constant(0.0, "float32")])
    return graph.node("Where", [positive, shares, graph.constant(1.0 / units, "float32")])
