"""The files of a federated model, and the parts of it that predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.federated.training.flat_model import FlatModel, Floats
from sparkml_dist.federated.training.model_of import model_of
from sparkml_dist.federated.training.network import Network
from sparkml_dist.federated.training.standardization import Standardization
from sparkml_dist.kernels.machine_scorer import checked_arrays
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

__all__ = ["FederatedScorer", "write_parameters"]

_LEAST = float(np.finfo(np.float32).tiny)


def write_parameters(
    folder: Folder, name: str, model: FlatModel, parameters: Floats, buffers: Floats
) -> ModelFile:
    """Write the parameters of a model, or a network as a ``.keras`` file."""
    if isinstance(model, Network):
        folder.write_bytes(f"{name}.keras", model.archive(parameters, buffers))
        return ModelFile.of(folder, f"{name}.keras")
    write_array(folder, f"{name}.npy", np.ascontiguousarray(parameters, np.float64))
    return ModelFile.of(folder, f"{name}.npy")


@dataclass(frozen=True)
class FederatedScorer:
    """A federated model in the form that is sent to workers.

    Attributes
    ----------
    folder : Folder
    file : ModelFile
        Of `write_parameters`.
    model : dict
        Of `FlatModel.to_dict`.
    standardization : dict
        Of `Standardization.to_dict`.
    """

    folder: Folder
    file: ModelFile
    model: dict[str, Any]
    standardization: dict[str, Any]

    raw_scale: ClassVar[float] = 1.0

    @property
    def cache_key(self) -> str:
        """Identifies the model within a worker."""
        return f"federated/{self.model['kind']}/{self.file.sha256}"

    def load(self) -> Callable[[Any], npt.NDArray[Any]]:
        """Return a function from features (n, d) to probabilities (n, n_classes).

        For a regression, to predictions (n,).

        Raises
        ------
        StorageError
            ``file_altered``, ``array_damaged`` or ``network_not_loaded``.
        """
        model = model_of(self.model)
        standardization = Standardization.from_dict(self.standardization)
        scores = self._network(model) if isinstance(model, Network) else self._flat(model)
        mean, deviation = standardization.target

        def predict(X: Any) -> npt.NDArray[Any]:
            rows = (
                standardization.standardized(X)
                if model.standardized
                else standardization.imputed(X)
            )
            found = scores(rows)
            return found if model.n_outputs else np.asarray(found, np.float64) * deviation + mean

        return predict

    def check(self) -> None:
        """Raise ValueError or StorageError where the parameters do not fit the model."""
        model = model_of(self.model)
        Standardization.from_dict(self.standardization)
        if not isinstance(model, Network):
            self._flat(model)

    def _flat(self, model: FlatModel) -> Callable[[Any], npt.NDArray[Any]]:
        parameters = next(iter(checked_arrays(self.folder, [self.file]).values()))
        if parameters.shape != (model.size,) or parameters.dtype != np.float64:
            raise ValueError(f"the parameters must be {model.size} doubles")
        none = np.zeros(0)
        return lambda rows: model.predict(parameters, none, rows)

    def _network(self, model: Network) -> Callable[[Any], npt.NDArray[Any]]:
        from sparkml_dist.deep.scoring.scorer import KerasScorer

        units, logits = int(model.facts["units"]), bool(model.facts["logits"])
        scorer = KerasScorer(
            self.folder,
            self.file.name,
            self.file.sha256,
            model.inputs,
            model.n_outputs,
            units,
            logits,
        )
        return scorer.load()

    def raw(self, probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return logarithms of the probabilities."""
        return np.log(np.maximum(probability.astype(np.float64), _LEAST))
