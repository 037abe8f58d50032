"""What the settings of families depend on, by the manifest of the shards."""

from __future__ import annotations

from sparkml_dist.automl.families.family import Situation
from sparkml_dist.automl.schedule import Schedule
from sparkml_dist.automl.table_features_model import TableFeaturesModel
from sparkml_dist.dataset.partitioned import PartitionedDataset

__all__ = ["class_rows", "situation_of"]

#: A class is rare if it has less than this share of what it would have among equals.
_RARE = 0.2
#: Rows of a class that a stratified hold-out inside a learner needs.
_ROWS_TO_STOP = 30


def class_rows(data: PartitionedDataset) -> list[int]:
    """Return the number of rows of each class; empty for a regression."""
    found = [s.class_rows for s in data.shards if s.class_rows]
    return [sum(column) for column in zip(*found, strict=True)]


def situation_of(
    data: PartitionedDataset,
    schedule: Schedule,
    features: TableFeaturesModel | None,
    metric: str,
    seed: int,
    seconds: float | None,
) -> Situation:
    """Return what the settings of families depend on.

    Parameters
    ----------
    data : PartitionedDataset
    schedule : Schedule
    features : TableFeaturesModel or None
    metric : str
    seed : int
    seconds : float or None
        What a fit should take at most.
    """
    counts = class_rows(data)
    rare = min(counts, default=0)
    return Situation(
        schema=data.schema,
        columns=() if features is None else features.columns,
        rows=round(max(s.rows for s in data.shards) * schedule.share),
        classes=len(data.manifest.label.classes),
        imbalanced=bool(counts) and rare < _RARE * sum(counts) / len(counts),
        metric=metric,
        seed=seed,
        can_stop=not counts or rare / len(data.shards) >= _ROWS_TO_STOP,
        seconds=seconds,
    )
