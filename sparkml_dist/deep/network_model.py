"""Base of the fitted Keras models."""

from __future__ import annotations

import os
from typing import Any

from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.scoring.scorer import KerasScorer, load_network
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.report.fitted_model import FittedModel

__all__ = ["NETWORK_PACKAGES", "NetworkModel"]

#: Packages whose versions are saved with a model.
NETWORK_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "horovod")


class NetworkModel(FittedModel, ShardModel):
    """A network in a ``.keras`` file; see `ShardModel` for the other attributes.

    Attributes
    ----------
    history : dict of str to list
        ``loss`` and the metrics of every epoch.
    summary : dict
        ``ranks`` (list of dict: ``rank``, ``host``, ``rows``, ``seconds``, ``peak_rss_mb``, …),
        ``steps`` of an epoch, ``parameters``, ``seconds`` by phase, ``history``; ``restarts`` (the
        number of restarts of the gang) and ``restarted`` (the reason of each).
    """

    _packages = NETWORK_PACKAGES

    @property
    def history(self) -> dict[str, list[Any]]:
        """``loss`` and the metrics of every epoch."""
        return dict(self.summary["history"])

    def to_keras(self) -> Any:
        """Return the network as a Keras model, loaded into this process.

        Imports Keras and TensorFlow. The model takes rows in the shape that it was built for and
        does not need this package: a `ShardedEmbedding` becomes ``keras.layers.Embedding`` if
        Keras can clone the model.

        Returns
        -------
        keras.Model
            Not compiled.

        Raises
        ------
        StorageError
            ``file_altered`` or ``network_not_loaded``.
        """
        file = self.files[0]
        network = load_network(self.folder, file.name, file.sha256, os.cpu_count() or 1)
        from sparkml_dist.deep.embedding.plain import with_plain_embeddings

        return with_plain_embeddings(network)

    def _scorer(self) -> KerasScorer:
        file, facts = self.files[0], self.content["facts"]
        return KerasScorer(
            self.folder,
            file.name,
            file.sha256,
            InputSpec.from_dict(self.content["inputs"]),
            len(self.label.classes),
            facts["units"],
            facts["logits"],
        )
