"""Settings of checkpoints and restarts."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.errors import ConfigurationError

__all__ = ["CHECKPOINTS", "CheckpointSettings"]

#: Folder of the checkpoints, inside the folder of the model.
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class CheckpointSettings:
    """Settings of checkpoints and restarts.

    Parameters
    ----------
    every : int, default=0
        Steps from one checkpoint to the next, counted over all epochs; 0 for one at the end of each
        epoch.
    keep : int, default=0
        Number of the last checkpoints to keep after the training. While it runs, at least two are
        kept, since the last one may be damaged.
    max_restarts : int, default=2
        Most restarts of a gang that has lost a rank.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """

    every: int = 0
    keep: int = 0
    max_restarts: int = 2

    def __post_init__(self) -> None:
        for param, value in (
            ("checkpointEvery", self.every),
            ("keepCheckpoints", self.keep),
            ("maxRestarts", self.max_restarts),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigurationError(
                    "invalid_param", f"{param} must be an int >= 0. Got {value!r}."
                )

    @property
    def kept_while_training(self) -> int:
        """Most checkpoints to keep while the training runs."""
        return max(2, self.keep)

    def due(self, step: int, *, epoch_ends: bool) -> bool:
        """Tell whether a checkpoint is written after a step.

        Parameters
        ----------
        step : int
            Number of steps since the start of the training, over all epochs.
        epoch_ends : bool
            Whether it was the last step of its epoch.
        """
        return step % self.every == 0 if self.every else epoch_ends
