"""The description of a training that the driver sends to every rank; imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.rows import TrainingRows
from sparkml_dist.deep.input.target import Target
from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["MODEL_FILE", "TrainingJob"]

MODEL_FILE = "model.keras"


@dataclass(frozen=True)
class TrainingJob:
    """A data-parallel training of one network.

    Attributes
    ----------
    rows : TrainingRows
        The training rows.
    builder : bytes
        Pickle of the function that builds the model.
    folder : Folder
        Folder for ``model.keras``, which rank 0 writes.
    target : Target
        The target of the network.
    inputs : InputSpec
        Conversion of features to the network's inputs.
    epochs : int
        Passes over the data.
    batch_size : int
        Rows of one update, over all ranks.
    lanes : int
        Number of equal ranges of an epoch; at least the number of ranks.
    seed : int
        Seed of initial weights, order of rows and dropout.
    coupling : CouplingSettings
        How gradients of the ranks are reduced and applied.
    stopping : EarlyStoppingSettings or None
        When to end before the last epoch, and which weights to keep.
    callbacks : bytes or None
        Pickle of a function that returns Keras callbacks, for rank 0.
    tensorboard : bool
        Whether rank 0 writes event files into ``logs/tensorboard``.
    reduction : str
        Transport of gradients: see `sparkml_dist.deep.train.horovod_check.check_horovod`.
    checkpoint : CheckpointSettings or None
        Settings of checkpoints and restarts; None for neither.
    part : str
        Attribute of the network that holds the part to save, a Keras model that shares its weights:
        what else the network has serves the training. Empty to save all of it.
    launch : int
        Number of this launch of the gang, counted from 1.
    """

    rows: TrainingRows
    builder: bytes
    folder: Folder
    target: Target
    inputs: InputSpec
    epochs: int
    batch_size: int
    lanes: int
    seed: int
    coupling: CouplingSettings = field(default_factory=CouplingSettings)
    stopping: EarlyStoppingSettings | None = None
    callbacks: bytes | None = None
    tensorboard: bool = False
    reduction: str = "auto"
    checkpoint: CheckpointSettings | None = None
    part: str = ""
    launch: int = 1

    @property
    def gathered(self) -> InputSpec:
        """Arrays of a batch: the network's inputs, and targets that are features."""
        return InputSpec((*self.inputs.parts, *self.target.arrays()))

    @property
    def rows_at_once(self) -> int:
        """Number of rows that all ranks together have in memory in a step."""
        return max(1, self.batch_size // self.coupling.accumulation_steps)
