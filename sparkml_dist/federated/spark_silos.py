"""Silos as folders of shards that tasks of one Spark application read: one job for each round."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.group_partitioning import group_counts, partition_groups
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.federated.answering import answer_request, silo_ledger
from sparkml_dist.federated.backend import Backend
from sparkml_dist.federated.ledger import LedgerEntry, entry_of
from sparkml_dist.federated.message import MOST_BYTES
from sparkml_dist.federated.policy import SiloPolicy
from sparkml_dist.federated.replies import Outcome, SiloFailure, check_reply
from sparkml_dist.federated.rounds import FolderRounds, Rounds
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo import SiloSite, check_name
from sparkml_dist.federated.silo_data import ShardData
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import max_slots

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SparkSilos", "silos_of_frame"]

_logger = logging.getLogger(__name__)

_WRITTEN = "silos.json"
_TASKS = 8  # where a session does not tell its slots


class SparkSilos(Backend):
    """Silos whose shards the tasks of one Spark application read.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folder : Folder
        The federation's; the silos' own files lie below it.
    datasets : mapping of str to PartitionedDataset
    policy : SiloPolicy, or mapping of str to SiloPolicy, optional
    seed : int, optional
        Of the silos' draws; None for secrets of their own.
    together : bool, default=True
        Whether one task may read several silos, which it does one after the other.
    """

    def __init__(
        self,
        spark: SparkSession,
        folder: Folder,
        datasets: Mapping[str, PartitionedDataset],
        *,
        policy: SiloPolicy | Mapping[str, SiloPolicy] | None = None,
        seed: int | None = 0,
        together: bool = True,
    ) -> None:
        self.names = sorted(check_name(name) for name in datasets)
        self.folder = folder
        self._spark = spark
        own = policy if isinstance(policy, Mapping) else dict.fromkeys(self.names, policy)
        self._sites = {
            name: _Site(
                name,
                datasets[name].location,
                folder.child("silos").child(f"{place:06d}").location,
                own.get(name) or SiloPolicy(tell_errors=True),
                seed,
            )
            for place, name in enumerate(self.names)
        }
        self._together = together

    def exchange(  # noqa: D102
        self,
        rounds: Rounds,
        round: int,  # noqa: A002
        silos: Sequence[str],
        schema: FederatedSchema | None,
        minimum: int,
    ) -> dict[str, Outcome]:
        assert isinstance(rounds, FolderRounds)
        most = 2 * (max_slots(self._spark) or _TASKS) if self._together else len(silos)
        tasks = min(len(silos), most)
        shares = [[self._sites[name] for name in silos[task::tasks]] for task in range(tasks)]
        home, names = rounds.folder, rounds.names

        def work(task: int) -> dict[str, Any]:
            own = FolderRounds(home, names)  # its request is read once for the silos of a task
            return {site.name: _ask(site, own, round, schema).to_dict() for site in shares[task]}

        found: dict[str, Outcome] = {}
        why = "its task ended"
        try:
            for outcome in run_tasks(
                self._spark, range(tasks), work, description=f"federated round {round}"
            ):
                if outcome.error is not None:
                    why = str(outcome.error)
                found.update({n: Outcome.from_dict(o) for n, o in outcome.result.items()})
        except Exception as error:
            # A worker that dies of one silo must not end the round of the others.
            why = f"{type(error).__name__}: {str(error)[:500]}"
            if not any(rounds.has_reply(round, name) for name in silos):
                raise
        for name in silos:
            if name not in found:
                found[name] = self._left_behind(rounds, round, name, schema, why)
        return found

    def ledger(self, name: str, run: str) -> list[LedgerEntry]:
        """Return the ledger that a silo holds itself."""
        return silo_ledger(self._sites[name].open(), run)

    def _left_behind(
        self,
        rounds: FolderRounds,
        round: int,  # noqa: A002
        name: str,
        schema: FederatedSchema | None,
        why: str,
    ) -> Outcome:
        """Return the outcome of a silo whose task told none: its committed reply, or a failure."""
        request, packed = rounds.request(round, name)
        if rounds.has_reply(round, name):
            reply = rounds.reply(round, name)
            return check_reply(reply, request, name, schema, limit=MOST_BYTES, packed=packed)
        entry = entry_of(request, packed, name, "request", refused="silo_failed")
        return Outcome(entry, None, SiloFailure("silo_failed", why))


class _Site:
    """A silo's site, to be opened in a task."""

    def __init__(
        self, name: str, data: str, folder: str, policy: SiloPolicy, seed: int | None
    ) -> None:
        self.name = name
        self._data, self._folder, self._policy, self._seed = data, folder, policy, seed

    def open(self) -> SiloSite:
        return SiloSite(
            self.name, ShardData(_opened(self._data)), self._folder, self._policy, self._seed
        )


@lru_cache(maxsize=64)
def _opened(location: str) -> PartitionedDataset:
    # Its files may be elsewhere: the federation's owner has named the data set.
    return open_partitioned(location, adopted=True)


def _ask(
    site: _Site,
    rounds: FolderRounds,
    round: int,  # noqa: A002
    schema: FederatedSchema | None,
) -> Outcome:
    request, packed = rounds.request(round, site.name)
    try:
        reply = answer_request(site.open(), packed)
    except SparkMLDistError as error:  # its data set cannot be opened
        asked = entry_of(request, packed, site.name, "request", refused=error.code)
        return Outcome(asked, None, SiloFailure(error.code, error.message))
    outcome = check_reply(reply, request, site.name, schema, limit=MOST_BYTES, packed=packed)
    if outcome.failure is None:
        rounds.write_reply(round, site.name, reply)
    return outcome


def silos_of_frame(
    df: DataFrame,
    siloCol: str,
    folder: Folder,
    *,
    label: str,
    features: str | Sequence[str] | None,
    weight: str | None,
    key: str | Sequence[str] | None,
    categorical: Sequence[str],
    task: Task,
    seed: int,
) -> dict[str, PartitionedDataset]:
    """Write each silo's rows to a folder of shards; or return those of an earlier run.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    siloCol : str
        Column with the names of silos.
    folder : Folder
        The federation's.
    label, features, weight, key, categorical, task, seed
        As for `partition`.

    Raises
    ------
    ConfigurationError
        ``plan_differs`` where the folder has silos of other rows or columns.
    """
    home = folder.child("silos")
    plan = {
        "siloCol": siloCol,
        "label": label,
        "features": features if features is None or isinstance(features, str) else [*features],
        "weight": weight,
        "key": key if key is None or isinstance(key, str) else [*key],
        "categorical": [*categorical],
        "task": task,
        "seed": seed,
        "columns": df.columns,
    }
    if home.exists(_WRITTEN):
        found = home.read_json(_WRITTEN)
        if found != {**plan, "rows": group_counts(df, siloCol)}:
            raise ConfigurationError(
                "plan_differs",
                f"The federation in {folder.location!r} has silos of other rows or columns.",
                "Go on with the same data and arguments, or take a new folder.",
            )
        return {
            name: open_partitioned(f"{home.location}/{place:06d}/data")
            for place, name in enumerate(sorted(found["rows"]))
        }
    made = partition_groups(
        df,
        siloCol,
        home,
        label=label,
        features=features,
        weight=weight,
        key=key,
        categorical=categorical,
        task=task,
        seed=seed,
    )
    rows = {name: dataset.n_rows for name, dataset in made.items()}
    home.write_json(_WRITTEN, {**plan, "rows": rows})
    return made
