"""The batches of one rank, from the rows of a training and a plan."""

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
    """Return what a rank streams in an epoch.

    Parameters
    ----------
    rows : TrainingRows
        What is read; the plan has counted these rows.
    inputs : InputSpec
    plan : EpochPlan
    rank, ranks : int
        Which of how many.
    start_step : int, default=0
        Steps to leave out.

    Returns
    -------
    BatchStream
        Of batches of the same size on all ranks.
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
