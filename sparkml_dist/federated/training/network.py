"""A Keras network as one vector; a process of its own computes with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.network.builder_spec import BuilderFile, resolve_builder
from sparkml_dist.federated.training.flat_model import FlatModel, Floats, Gradient
from sparkml_dist.federated.training.network_process import NetworkProcess
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.persistence.fields import mapping, natural, text

__all__ = ["BuiltNetwork", "Network", "build_network"]


class Network(FlatModel):
    """The weights of a Keras network as parameters, its moving statistics as buffers.

    What travels is the network's configuration, which is checked against Keras' own layers before
    anything is made of it, as for a saved network: never a function.

    Parameters
    ----------
    facts : mapping
        ``config`` (of the network, JSON), ``loss`` (class and settings), ``target``, ``units``,
        ``logits``, ``inputs``, ``size``, ``buffer_size``, ``n_outputs``.
    """

    kind: ClassVar[str] = "network"
    dtype: ClassVar[str] = "float32"
    #: Networks normalize their inputs themselves.
    standardized: ClassVar[bool] = False

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = dict(facts)
        self.size = natural(facts["size"], "size")
        self.buffer_size = natural(facts["buffer_size"], "buffer_size")
        self.n_outputs = natural(facts["n_outputs"], "n_outputs")
        self.inputs = InputSpec.from_dict(mapping(facts["inputs"], "inputs"))
        text(facts["config"], "config")

    def initial(self, rng: np.random.Generator) -> Floats:
        """Return the first parameters; see `FlatModel.initial`."""
        raise TypeError("the parameters of a network come with it from its builder")

    def gradient(self, parameters: Floats, buffers: Floats, X: Floats, y: Any) -> Gradient:
        """Return loss and gradient of a batch; see `FlatModel.gradient`."""
        found = self._ask("gradient", parameters, buffers, X=X, y=np.asarray(y))
        held = found["buffers"] if self.buffer_size else None
        return Gradient(float(found["loss"][0]), found["gradient"], held)

    def predict(self, parameters: Floats, buffers: Floats, X: Floats) -> Floats:
        """Return probabilities or predictions; see `FlatModel.predict`."""
        outputs = self._ask("predict", parameters, buffers, X=X)["outputs"]
        if not self.n_outputs:
            return np.asarray(outputs.reshape(-1), np.float64)
        from sparkml_dist.deep.scoring.scorer import KerasScorer
        from sparkml_dist.persistence.filesystem import Folder

        scorer = KerasScorer(
            Folder.at("."),
            "",
            "",
            self.inputs,
            self.n_outputs,
            int(self.facts["units"]),
            bool(self.facts["logits"]),
        )
        return scorer.probabilities(outputs)

    def archive(self, parameters: Floats, buffers: Floats) -> bytes:
        """Return the network with these weights as a ``.keras`` file."""
        return self._ask("archive", parameters, buffers)["file"].tobytes()

    def _ask(self, operation: str, parameters: Floats, buffers: Floats, **arrays: Any) -> Any:
        return NetworkProcess.shared().ask(
            operation,
            self.facts,
            {
                "parameters": np.asarray(parameters, np.float32),
                "buffers": np.asarray(buffers, np.float32),
                **arrays,
            },
        )[1]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values of the model."""
        return {"kind": self.kind, **self.facts}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Network:
        """Return the model of JSON values."""
        return cls({k: v for k, v in value.items() if k != "kind"})


@dataclass(frozen=True)
class BuiltNetwork:
    """A network and the weights that its builder gave it."""

    network: Network
    parameters: Floats
    buffers: Floats


def build_network(
    builder: Any,
    n_features: int,
    n_outputs: int,
    standardization: Standardization,
    *,
    input_shape: Sequence[int] | None = None,
    seed: int = 0,
    total_steps: int = 1000,
) -> BuiltNetwork:
    """Have a builder make a network, in a process with Keras.

    Parameters
    ----------
    builder : str or callable
        As for `KerasClassifier`. It gets those of ``input_shape``, ``n_classes``,
        ``normalization``, ``target_normalization`` and ``total_steps`` that it accepts.
    n_features, n_outputs : int
        Features of a row; classes, 0 for a regression.
    standardization : Standardization
        Of the federation, for ``normalization``.
    input_shape : sequence of int, optional
    seed : int
    total_steps : int

    Raises
    ------
    ConfigurationError
        As for `KerasClassifier`; ``class_loss`` for a loss that federations cannot share.
    """
    function = resolve_builder(builder)
    pickled = shipped(function, *([] if isinstance(function, BuilderFile) else [function]))
    inputs = InputSpec.single(n_features, input_shape)
    facts, arrays = NetworkProcess.shared().ask(
        "build",
        {
            "inputs": inputs.to_dict(),
            "n_outputs": n_outputs,
            "seed": seed % 2**32,
            "total_steps": total_steps,
        },
        {
            "builder": np.frombuffer(pickled, np.uint8),
            "mean": standardization.mean.astype(np.float32),
            "deviation": standardization.deviation.astype(np.float32),
        },
    )
    network = Network(
        {
            **facts,
            "inputs": json.loads(json.dumps(inputs.to_dict())),
            "n_outputs": n_outputs,
        }
    )
    return BuiltNetwork(network, arrays["parameters"], arrays["buffers"])
