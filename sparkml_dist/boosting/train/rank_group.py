"""Couples the ranks of a gang through XGBoost's own collective; imported in ranks only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from xgboost import collective
from xgboost.tracker import RabitTracker

from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.rendezvous_client import rendezvous_host, shared_value

__all__ = ["coupled"]

_SECONDS = 300  # for the other ranks to come, and to leave
# For the others in a round. The gang itself ends ranks that stall, with a better message.
_PATIENCE = 7 * 24 * 3600
_SCOPE = "xgboost-tracker"


@contextlib.contextmanager
def coupled(context: RankContext) -> Iterator[None]:
    """Couple this rank with the others of its gang while the block runs.

    Rank 0 runs XGBoost's tracker, and the gang's rendezvous tells the others where. The ranks have
    the numbers of the gang, so that sums are formed in the same order each time.

    Parameters
    ----------
    context : RankContext
    """
    if context.size == 1:
        yield
        return
    tracker: RabitTracker | None = None
    address: dict[str, str | int] | None = None
    if context.rank == 0:
        tracker = RabitTracker(context.size, rendezvous_host(), sortby="task", timeout=_SECONDS)
        tracker.start()
        address = tracker.worker_args()
    address = shared_value(_SCOPE, address, seconds=_SECONDS)
    with collective.CommunicatorContext(
        **address, dmlc_task_id=f"{context.rank:06d}", dmlc_timeout=_PATIENCE
    ):
        if collective.get_rank() != context.rank:
            raise RuntimeError(
                f"rank {context.rank} has the number {collective.get_rank()} in XGBoost's group "
                f"(process {os.getpid()})"
            )
        yield
    if tracker is not None:
        # The others still say goodbye to it when rank 0 has done so.
        tracker.wait_for(timeout=_SECONDS)
