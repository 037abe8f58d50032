"""What the driver hands to every rank of a training; imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["MODEL_FILE", "TrainingJob"]

MODEL_FILE = "model.keras"


@dataclass(frozen=True)
class TrainingJob:
    """A data-parallel training of a classifier.

    Attributes
    ----------
    data : PartitionedDataset
        The shards.
    builder : bytes
        Pickle of the function that builds the model.
    folder : Folder
        Where rank 0 puts ``model.keras``.
    n_classes : int
        Number of classes.
    input_shape : tuple of int
        Shape of a row as the network takes it.
    epochs : int
        Passes over the data.
    batch_size : int
        Rows of one step on each rank.
    lanes : int
        Equal ranges that an epoch is cut into; a multiple of the ranks.
    seed : int
        Decides initial weights, order of rows and dropout.
    """

    data: PartitionedDataset
    builder: bytes
    folder: Folder
    n_classes: int
    input_shape: tuple[int, ...]
    epochs: int
    batch_size: int
    lanes: int
    seed: int
