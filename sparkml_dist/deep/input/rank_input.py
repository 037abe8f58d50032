"""The batches of one rank, from the training rows and a plan."""

from __future__ import annotations

import numpy as np

from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.input.pipeline import BatchStream
from sparkml_dist.deep.input.plan import EpochPlan, lanes_of, rank_batch
from sparkml_dist.deep.input.rows import TrainingRows

__all__ = ["rank_stream"]


def rank_stream(
    rows: TrainingRows,
    inputs: InputSpec,
    plan: EpochPlan,
    rank: int,
    ranks: int,
    start_step: int = 0,
) -> BatchStream:
    """Return the stream of a rank's batches in an epoch.

    Parameters
    ----------
    rows : TrainingRows
        The rows to read, which the plan has counted.
    inputs : InputSpec
    plan : EpochPlan
    rank, ranks : int
        This rank, and the number of ranks.
    start_step : int, default=0
        Number of steps to skip.

    Returns
    -------
    BatchStream
        Its batches have the same size on all ranks.
    """
    return BatchStream(
        rows.read,
        plan,
        lanes_of(rank, ranks, plan.lanes),
        rows.data.n_features,
        inputs,
        start_step=start_step,
        batch_size=rank_batch(plan, ranks),
        label_dtype=np.float64 if rows.data.classes is None else np.int32,
        row_bytes=rows.row_bytes,
    )
