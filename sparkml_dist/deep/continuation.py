"""What a training that goes on from a checkpoint takes over from the one that began it."""

from __future__ import annotations

import logging
from dataclasses import replace

from sparkml_dist.deep.checkpoint_store import CheckpointStore
from sparkml_dist.deep.job import TrainingJob
from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["continued"]

_logger = logging.getLogger(__name__)


def continued(job: TrainingJob, ranks: int, store: CheckpointStore) -> TrainingJob:
    """Return a job with the lanes and the global batch of the training that it continues.

    With these the batches are the same at any number of ranks, and every row of an epoch that was
    begun at one number is seen exactly once when it ends at another.

    Parameters
    ----------
    job : TrainingJob
    ranks : int
        How many there are now.
    store : CheckpointStore

    Raises
    ------
    ConfigurationError
        ``ranks_do_not_fit``, naming the numbers of ranks that do.
    """
    for checkpoint in store.ids():
        try:
            plan = store.read(checkpoint).content["plan"]
        except (StorageError, KeyError) as error:
            _logger.warning("%s is passed over: %s", checkpoint, error)
            continue
        lanes, batch = int(plan["lanes"]), int(plan["batch_size"])
        if lanes % ranks or batch % ranks:
            fitting = [n for n in range(1, lanes + 1) if not (lanes % n or batch % n)]
            raise ConfigurationError(
                "ranks_do_not_fit",
                f"The training in {store.folder.location!r} was begun with {lanes} lanes and "
                f"{batch} rows in a step; it can go on with {_either(fitting)} ranks. Got {ranks}.",
                "Set numRanks to one of these, or pass overwrite=True to begin anew.",
            )
        return replace(job, lanes=lanes, batch_size=batch // ranks)
    return job


def _either(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last
