"""The description of a training that the driver sends to every rank; imports no XGBoost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.persistence.checkpoints import CheckpointId
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["CHECKPOINTS", "MODEL_FILE", "BoostingJob", "EarlyStopping"]

MODEL_FILE = "model.ubj"
#: Folder of the checkpoints, inside the folder of the model.
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class EarlyStopping:
    """When to end before the last round.

    Attributes
    ----------
    metric : str
        Name in the history, such as ``"val_logloss"``.
    patience : int
        Rounds without improvement after which the training ends.
    tol : float
        Least change that is an improvement.
    larger_is_better : bool
    """

    metric: str
    patience: int
    tol: float
    larger_is_better: bool


@dataclass(frozen=True)
class BoostingJob:
    """The training of one model by all ranks.

    Attributes
    ----------
    data : PartitionedDataset
    folder : Folder
        Folder for the model and the checkpoints.
    parameters : dict
        XGBoost's parameters, without threads and device.
    rounds : int
        Most rounds.
    metrics : tuple of str
        XGBoost's names of the metrics of each round.
    objective : bytes or None
        Pickle of the function that returns gradients and hessians; None for XGBoost's own.
    validation : Validation or None
        Rows that are held out from training.
    stopping : EarlyStopping or None
    checkpoint_rounds : int
        Rounds from one checkpoint to the next; 0 for none.
    keep_checkpoints : int
        Checkpoints that stay after the training, its end among them; 0 for none.
    external : bool
        Whether binned rows are kept on disk.
    keep_blocks : bool
        Whether a rank reads its rows once, and keeps them while it bins them.
    batch_bytes : int
        Bytes of features, as float32, that a rank reads at once.
    launch : int
        Number of this launch of the gang, counted from 1.
    resume_from : CheckpointId or None
        The checkpoint to go on from.
    """

    data: PartitionedDataset
    folder: Folder
    parameters: dict[str, Any]
    rounds: int
    metrics: tuple[str, ...]
    objective: bytes | None
    validation: Validation | None
    stopping: EarlyStopping | None
    checkpoint_rounds: int
    keep_checkpoints: int
    external: bool
    keep_blocks: bool
    batch_bytes: int
    launch: int = 1
    resume_from: CheckpointId | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.data.manifest.label.classes)
