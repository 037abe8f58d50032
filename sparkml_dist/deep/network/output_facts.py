"""The outputs of a `KerasEstimator`'s network and their targets.

Imports no TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Output", "OutputFacts"]

Kind = Literal["single", "list", "dict"]


@dataclass(frozen=True)
class Output:
    """One output of a network.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Shape for one row.
    target : {"codes", "one_hot", "number", "columns"}
        Target of its loss: class codes, one-hot rows, the label as a number, or columns of the
        data.
    """

    name: str
    shape: tuple[int, ...]
    target: str

    @property
    def size(self) -> int:
        """Number of values per row."""
        return math.prod(self.shape)

    @property
    def is_number(self) -> bool:
        """Whether the output is one number per row."""
        return self.size == 1


@dataclass(frozen=True)
class OutputFacts:
    """All outputs of a network, in its own order.

    Attributes
    ----------
    kind : {"single", "list", "dict"}
        Structure in which the network returns its outputs.
    outputs : tuple of Output
    """

    kind: Kind
    outputs: tuple[Output, ...]

    def pack(self, values: Mapping[str, Any]) -> Any:
        """Return values by output in the network's structure."""
        if self.kind == "single":
            return values[self.outputs[0].name]
        if self.kind == "list":
            return [values[o.name] for o in self.outputs]
        return {o.name: values[o.name] for o in self.outputs}

    def flat(self, returned: Any) -> list[Any]:
        """Return the network's outputs as a list, in the order of `outputs`."""
        if self.kind == "single":
            return [returned]
        if self.kind == "list":
            return list(returned)
        return [returned[o.name] for o in self.outputs]

    def targets(
        self,
        y: npt.NDArray[Any],
        columns: Mapping[str, npt.NDArray[np.float32]],
        n_classes: int,
    ) -> Any:
        """Return the targets of the loss, in the network's structure.

        Parameters
        ----------
        y : ndarray of shape (n,)
            The label: class codes, or numbers.
        columns : mapping of str to ndarray of shape (n, columns)
            Columns of the data by output, for outputs with such a target.
        n_classes : int
        """
        values = {}
        for output in self.outputs:
            if output.target == "columns":
                array = columns[output.name]
                fits = array.shape[1] == output.size
                values[output.name] = array.reshape(len(array), *output.shape) if fits else array
            elif output.target == "number":
                values[output.name] = y.astype(np.float32)[:, None]
            elif output.target == "one_hot":
                values[output.name] = np.eye(n_classes, dtype=np.float32)[y]
            else:
                values[output.name] = y
        return self.pack(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> OutputFacts:
        """Return the facts of JSON values."""
        outputs: Sequence[Mapping[str, Any]] = value["outputs"]
        return cls(
            value["kind"],
            tuple(Output(o["name"], tuple(o["shape"]), o["target"]) for o in outputs),
        )
