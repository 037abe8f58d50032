"""Params of checkpoints and restarts."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasCheckpoints"]


class HasCheckpoints(AccessibleParams):
    """Params of checkpoints and restarts after the loss of a rank."""

    checkpointEvery: Any = param(
        "checkpointEvery",
        "steps from one checkpoint to the next (>= 0; 0: one at the end of each epoch)",
        TypeConverters.toInt,
    )
    maxRestarts: Any = param(
        "maxRestarts",
        "most restarts, from the last checkpoint, of a gang that has lost a rank (>= 0)",
        TypeConverters.toInt,
    )
    keepCheckpoints: Any = param(
        "keepCheckpoints",
        "number of the last checkpoints to keep in modelDir after the training (>= 0)",
        TypeConverters.toInt,
    )

    def _checkpoint_settings(self) -> CheckpointSettings:
        """Return the Params as settings; raise `ConfigurationError` for invalid values."""
        return CheckpointSettings(
            every=self.getOrDefault(self.checkpointEvery),
            keep=self.getOrDefault(self.keepCheckpoints),
            max_restarts=self.getOrDefault(self.maxRestarts),
        )
