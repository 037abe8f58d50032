"""What a training that goes on from a checkpoint takes over from the one that began it."""

from __future__ import annotations

import logging
from dataclasses import replace

from sparkml_dist.deep.checkpoint.content import checked_plan
from sparkml_dist.deep.checkpoint.store import CheckpointStore
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["continued"]

_logger = logging.getLogger(__name__)


def continued(job: TrainingJob, ranks: int, store: CheckpointStore) -> TrainingJob:
    """Return a job with the lanes and the global batch of the training that it continues.

    With these the batches are the same at any number of ranks, and every row of an epoch that was
    begun at one number is seen exactly once when it ends at another; the learning rate stays too.

    Parameters
    ----------
    job : TrainingJob
    ranks : int
        How many there are now.
    store : CheckpointStore

    Raises
    ------
    ConfigurationError
        ``ranks_do_not_fit`` when there are more than lanes.
    """
    for checkpoint in store.ids():
        try:
            plan = checked_plan(store.read(checkpoint))
        except StorageError as error:
            _logger.warning("%s is passed over: %s", checkpoint, error)
            continue
        lanes, batch = plan["lanes"], plan["batch_size"]
        if ranks > lanes:
            raise ConfigurationError(
                "ranks_do_not_fit",
                f"The training in {store.folder.location!r} was begun with {lanes} lanes and can "
                f"go on with at most {lanes} ranks. Got {ranks}.",
                "Set numRanks to at most that many, or pass overwrite=True to begin anew.",
            )
        coupling = replace(job.coupling, rate_batches=plan["rate_batches"])
        return replace(job, lanes=lanes, batch_size=batch, coupling=coupling)
    return job
