"""The Params that say how a training outlives the loss of a rank."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasCheckpoints"]


class HasCheckpoints(AccessibleParams):
    """How often checkpoints are written, how many stay, and how often a gang is launched anew."""

    checkpointEvery: Any = param(
        "checkpointEvery",
        "steps from one checkpoint to the next (>= 0; 0: one at the end of each epoch)",
        TypeConverters.toInt,
    )
    maxRestarts: Any = param(
        "maxRestarts",
        "how often a gang that has lost a rank is launched anew, from the last checkpoint (>= 0)",
        TypeConverters.toInt,
    )
    keepCheckpoints: Any = param(
        "keepCheckpoints",
        "how many of the last checkpoints stay in modelDir when the training has ended (>= 0)",
        TypeConverters.toInt,
    )

    def _checkpoint_settings(self) -> CheckpointSettings:
        """Return the Params as settings; raises `ConfigurationError` where they cannot work."""
        return CheckpointSettings(
            every=self.getOrDefault(self.checkpointEvery),
            keep=self.getOrDefault(self.keepCheckpoints),
            max_restarts=self.getOrDefault(self.maxRestarts),
        )
