"""Scores rows with a network: the probabilities of the class, given the features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import StorageError
from sparkml_dist.graphical.counting.frame_rows import codes_of
from sparkml_dist.graphical.inference.row_inference import posterior
from sparkml_dist.graphical.network import Network
from sparkml_dist.persistence.arrays import read_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["ClassScorer"]


@dataclass(frozen=True)
class ClassScorer:
    """A network in the form that is sent to workers; the class is its last variable.

    Attributes
    ----------
    folder : Folder
        Folder of the tables' file.
    file : str
    sha256 : str
        Checksum of the file, checked when it is loaded.
    form : dict
        Variables and parents; see `Network.to_dict`.
    n_classes : int
    """

    folder: Folder
    file: str
    sha256: str
    form: dict[str, Any]
    n_classes: int

    raw_scale: ClassVar[float] = 1.0

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        arcs = hashlib.sha256(repr(self.form).encode()).hexdigest()
        return f"network/{self.sha256}/{arcs}"

    def network(self) -> Network:
        """Return the network.

        Raises
        ------
        StorageError
            ``file_altered``, ``array_damaged``.
        """
        if self.folder.sha256(self.file) != self.sha256:
            raise StorageError(
                "file_altered",
                f"The model's file {self.folder.uri(self.file)!r} does not match its manifest: its "
                "SHA-256 checksum differs.",
                "It was truncated or altered; restore it, or fit the model again.",
            )
        network = Network.from_dict(self.form, read_array(self.folder, self.file))
        if int(network.variables.cards[-1]) != self.n_classes:
            raise ValueError("the network has another number of classes than the label")
        return network

    def load(self) -> Callable[[Any], npt.NDArray[np.float32]]:
        """Return a function from categories (n, d) to probabilities (n, n_classes).

        Where the features have the probability 0, it returns the shares of the classes.
        """
        network = self.network()
        label = len(network.names) - 1
        nothing = np.full((1, label + 1), -1)
        shares = posterior(network, nothing, (label,))[0]

        def predict(X: Any) -> npt.NDArray[np.float32]:
            codes = codes_of(np.asarray(X))
            whole = np.column_stack([codes, np.full(len(codes), -1, codes.dtype)])
            found = posterior(network, whole, (label,))
            return np.where(np.isnan(found), shares, found).astype(np.float32)

        return predict
