"""What the driver hands to every rank of a training; imports no TensorFlow."""

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
        What is learnt from.
    builder : bytes
        Pickle of the function that builds the model.
    folder : Folder
        Where rank 0 puts ``model.keras``.
    target : Target
        What is predicted.
    inputs : InputSpec
        How the features of a row become the network's inputs.
    epochs : int
        Passes over the data.
    batch_size : int
        Rows of one update, over all ranks.
    lanes : int
        Equal ranges that an epoch is cut into; at least as many as ranks.
    seed : int
        Decides initial weights, order of rows and dropout.
    coupling : CouplingSettings
        How the ranks' gradients are brought together and applied.
    stopping : EarlyStoppingSettings or None
        When to end before the last epoch, and which weights to keep.
    callbacks : bytes or None
        Pickle of a function that returns Keras callbacks, for rank 0.
    tensorboard : bool
        Whether rank 0 writes event files into ``logs/tensorboard``.
    reduction : str
        How gradients travel: see `sparkml_dist.deep.train.horovod_check.check_horovod`.
    checkpoint : CheckpointSettings or None
        When checkpoints are written, and how often the gang is launched anew; None for neither.
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
    launch: int = 1

    @property
    def gathered(self) -> InputSpec:
        """What a batch holds of a row: the network's inputs, and targets that are features."""
        return InputSpec((*self.inputs.parts, *self.target.arrays()))

    @property
    def rows_at_once(self) -> int:
        """Rows that are in all ranks' memory at the same time in a step."""
        return max(1, self.batch_size // self.coupling.accumulation_steps)
