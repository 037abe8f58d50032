"""What trials get of the data: folds of few rows, a hold-out of more, shards of many."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Fold, Validation
from sparkml_dist.members.held_out import evaluation_shards
from sparkml_dist.search.resources import Resource
from sparkml_dist.search.trial_rows import HeldOutParts

__all__ = ["Schedule"]

#: Up to so many rows are cross-validated.
_CROSS_VALIDATED, _FOLDS = 3_000, 5
#: Held-out rows that are enough, and the shares that they may be of all.
_ENOUGH_HELD_OUT, _LEAST_SHARE, _LARGEST_SHARE = 4_000, 0.02, 0.2
#: Ratio of the resources of two rungs, and of the numbers of trials there.
_FACTOR = 4.0
#: Rows of the lowest rung at least, and its share of the rows of a shard: two rungs, or three where
#: there are many rows.
_LEAST_ROWS, _SHARE_OF_FEW, _SHARE_OF_MANY, _MANY = 2_000, 1 / 6, 1 / 16, 100_000


@dataclass(frozen=True)
class Schedule:
    """What trials learn from, and what they are scored on.

    Attributes
    ----------
    resource : Resource
        Of the rungs.
    held_out : HeldOutParts
    factor : float
        Ratio of the resources of two rungs.
    folds : int
        Number of folds; 0 for a hold-out.
    share : float
        Share of the rows that a fit of the highest rung learns from.
    """

    resource: Resource
    held_out: HeldOutParts
    factor: float
    folds: int
    share: float

    @classmethod
    def of(cls, data: PartitionedDataset, folds: int | None, seed: int) -> Schedule:
        """Return the schedule for a data set.

        Parameters
        ----------
        data : PartitionedDataset
        folds : int or None
            Of `folds_of`.
        seed : int
        """
        shards = len(data.shards)
        if folds is not None:
            parts = HeldOutParts(
                tuple(Fold(folds, i, seed) for i in range(folds)), evaluation_shards(data, 1.0)
            )
            resource = Resource("shards", 1, shards, None, 0)
            return cls(resource, parts, _FACTOR, folds, 1.0 - 1.0 / folds)
        fraction = min(_LARGEST_SHARE, max(_LEAST_SHARE, _ENOUGH_HELD_OUT / data.n_rows))
        parts = HeldOutParts((Validation(fraction, seed),), evaluation_shards(data, fraction))
        if shards > 1:
            resource = Resource("shards", 1, shards, None, 0)
        else:
            rows = data.shards[0].rows
            share = _SHARE_OF_FEW if rows <= _MANY else _SHARE_OF_MANY
            least = max(_LEAST_ROWS, round(share * rows))
            resource = Resource("rows", min(least, rows), rows, (0,), rows)
        return cls(resource, parts, _FACTOR, 0, 1.0 - fraction)

    @staticmethod
    def folds_of(data: PartitionedDataset, wanted: int | None) -> int | None:
        """Return the number of folds: what the user wants, or 5 for few rows; None for a hold-out.

        Parameters
        ----------
        data : PartitionedDataset
        wanted : int or None
        """
        few = len(data.shards) == 1 and data.n_rows <= _CROSS_VALIDATED
        return _FOLDS if wanted is None and few else wanted

    @property
    def refits(self) -> bool:
        """Whether the chosen trials are fitted again on all rows, of which there is one shard."""
        return self.resource.kind == "rows"
