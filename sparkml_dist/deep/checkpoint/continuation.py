"""Settings that a resumed training takes from the training that it continues."""

from __future__ import annotations

import logging
from dataclasses import replace

from sparkml_dist.deep.checkpoint.content import checked_plan
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.checkpoints import CheckpointStore

__all__ = ["resumed_job"]

_logger = logging.getLogger(__name__)


def resumed_job(job: TrainingJob, ranks: int, store: CheckpointStore) -> TrainingJob:
    """Return a job with the lanes and the global batch size of the training that it resumes.

    The batches are then the same for any number of ranks: an epoch that is started with one number
    of ranks and finished with another sees every row exactly once. The learning rate stays too.

    Parameters
    ----------
    job : TrainingJob
    ranks : int
        The current number of ranks.
    store : CheckpointStore

    Raises
    ------
    ConfigurationError
        ``ranks_do_not_fit`` when there are more ranks than lanes.
    """
    for checkpoint in store.ids():
        try:
            plan = checked_plan(store.read(checkpoint))
        except StorageError as error:
            _logger.warning("%s is skipped: %s", checkpoint, error)
            continue
        lanes, batch = plan["lanes"], plan["batch_size"]
        if ranks > lanes:
            raise ConfigurationError(
                "ranks_do_not_fit",
                f"The training in {store.folder.location!r} was started with {lanes} lanes and "
                f"can resume with at most {lanes} ranks. Got {ranks}.",
                "Set numRanks to at most that number, or pass overwrite=True to start again.",
            )
        coupling = replace(job.coupling, rate_batches=plan["rate_batches"])
        return replace(job, lanes=lanes, batch_size=batch, coupling=coupling)
    return job
