"""Couples the ranks of a gang through XGBoost's own collective; imported in ranks only."""

from __future__ import annotations

import contextlib
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
# A tracker that is freed waits for ranks that may be gone; the process of a rank just ends.
_kept: list[RabitTracker] = []


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
    address: dict[str, str | int] | None = None
    if context.rank == 0:
        tracker = RabitTracker(context.size, rendezvous_host(), sortby="task", timeout=_SECONDS)
        _kept.append(tracker)
        tracker.start()
        address = tracker.worker_args()
    address = shared_value(_SCOPE, address, seconds=_SECONDS)
    collective.init(**address, dmlc_task_id=f"{context.rank:06d}", dmlc_timeout=_PATIENCE)
    if collective.get_rank() != context.rank:
        raise RuntimeError(
            f"rank {context.rank} has the number {collective.get_rank()} in XGBoost's group"
        )
    yield
    # Not after an error: the others do not answer then, and the process ends at once.
    collective.finalize()
    if context.rank == 0:
        # The others still say goodbye to the tracker when rank 0 has done so.
        _kept[-1].wait_for(timeout=_SECONDS)
