"""What the fitted Keras models have in common."""

from __future__ import annotations

from typing import Any

from sparkml_dist.deep.inputs import InputSpec
from sparkml_dist.deep.scorer import KerasScorer
from sparkml_dist.shard_model import ShardModel

__all__ = ["NetworkModel"]


class NetworkModel(ShardModel):
    """A network in a ``.keras`` file; see `ShardModel` for the other attributes.

    Attributes
    ----------
    history : dict of str to list
        ``loss`` and the metrics of every epoch.
    summary : dict
        ``ranks`` (list of dict: ``rank``, ``host``, ``rows``, ``seconds``, ``peak_rss_mb``, …),
        ``steps`` of an epoch, ``parameters``, ``seconds`` by phase, ``history``; ``restarts`` (how
        often the gang was launched anew) and ``restarted`` (why, each time).
    """

    _packages = ("keras", "tensorflow", "tensorflow-cpu", "horovod")

    @property
    def history(self) -> dict[str, list[Any]]:
        """``loss`` and the metrics of every epoch."""
        return dict(self.summary["history"])

    def _scorer(self) -> KerasScorer:
        file, facts = self.files[0], self.content["facts"]
        return KerasScorer(
            self.folder,
            file.name,
            file.sha256,
            len(self.label.classes),
            InputSpec.from_dict(self.content["inputs"]),
            facts["units"],
            facts["logits"],
        )
