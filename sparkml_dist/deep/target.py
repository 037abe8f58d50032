"""What a network learns to predict; imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.dataset.labels import Label

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """What a network learns to predict.

    Attributes
    ----------
    n_classes : int
        Number of classes; 0 for a real number.
    """

    n_classes: int

    @classmethod
    def of(cls, label: Label) -> Target:
        """Return the target that a data set's label is."""
        return cls(len(label.classes))

    @property
    def is_regression(self) -> bool:
        """Whether the target is a real number."""
        return self.n_classes == 0
