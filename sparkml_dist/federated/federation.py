"""A federation as the algorithms know it: ask silos, sum over silos, audit what left them."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError, StorageError, TrainingError, nearest
from sparkml_dist.federated.backend import Alter, Backend, LocalSilos
from sparkml_dist.federated.ledger import LedgerEntry, ledger_frame
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.replies import Outcome, Replies
from sparkml_dist.federated.rounds import FolderRounds, MemoryRounds, Rounds
from sparkml_dist.federated.schema import FederatedSchema, agree
from sparkml_dist.federated.silo import stored_secret
from sparkml_dist.federated.sums import Asks, PlainSum, Summed, SumProtocol
from sparkml_dist.federated.works import work_of
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.workspace import temporary_folder

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.dataset import PartitionedDataset
    from sparkml_dist.dataset.columns import Task
    from sparkml_dist.federated.policy import SiloPolicy

__all__ = ["Federation"]

_logger = logging.getLogger(__name__)

_HOME = "federation.json"
_Own = Mapping[str, tuple[Mapping[str, Any], Mapping[str, npt.NDArray[Any]]]]


class Federation(Asks):
    """Silos, and the rounds of one run.

    Make one with `in_memory`, `from_frame`, `of_datasets`, or with a `Coordinator` for silos
    elsewhere. With a folder, rounds are committed there: the same program, started again with the
    same folder, reads the rounds that are there and asks from where it was.

    Parameters
    ----------
    backend : Backend
        Where the silos are.
    folder : str, optional
        For rounds and ledger; in memory without.
    columns : {"same", "common"} or sequence of str, default="same"
        Columns on which the silos agree; see `agree`.
    strict : bool, default=True
        Whether a silo that does not answer the first rounds, or does not fit, is an error. Without,
        it is left out and named in ``left_out``.

    Attributes
    ----------
    names : list of str
        Silos that take part, sorted.
    run : str
        Identifies the run.
    left_out : dict of str to str
        Silos that do not take part, and why.

    Examples
    --------
    >>> rows = {"north": (np.eye(4), [0, 1, 0, 1]), "south": (np.ones((2, 4)), [1, 2])}
    >>> federation = Federation.in_memory(rows)
    >>> federation.schema.classes
    [0, 1, 2]
    >>> federation.sum("rows").arrays["class_rows"]
    array([2., 3., 1.])
    """

    def __init__(
        self,
        backend: Backend,
        *,
        folder: str | None = None,
        columns: str | Sequence[str] = "same",
        strict: bool = True,
    ) -> None:
        if not backend.names:
            raise ConfigurationError(
                "invalid_param", "A federation needs at least one silo.", "Name the silos."
            )
        self.names = list(backend.names)
        self.left_out: dict[str, str] = {}
        self._backend = backend
        self._columns = columns if isinstance(columns, str) else list(columns)
        self._strict = strict
        self._next = 0
        self._epsilon: float | None = None
        self._schema: FederatedSchema | None = None
        self.run, self._rounds = _opened(folder, self.names)
        self._folder, self._secret = folder, b""

    # -- Where the silos are ----------------------------------------------------------------

    @classmethod
    def in_memory(
        cls,
        silos: Mapping[str, Any],
        *,
        regression: bool = False,
        names: Sequence[str] | None = None,
        label: str = "label",
        classes: Sequence[Any] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
        policy: SiloPolicy | Mapping[str, SiloPolicy] | None = None,
        seed: int | None = 0,
        folder: str | None = None,
        columns: str | Sequence[str] = "same",
        strict: bool = True,
        alter: Mapping[str, Alter] | None = None,
    ) -> Federation:
        """Return a federation of silos in this process, without Spark.

        Parameters
        ----------
        silos : mapping of str to (X, y), (X, y, weight), Block or SiloData
            Rows of each silo.
        regression : bool, default=False
            Whether labels are targets.
        names, label, classes, categories
            As for `BlockData`; a `Block` has class codes, and needs `classes`.
        policy : SiloPolicy, or mapping of str to SiloPolicy, optional
            Of all silos, or of each.
        seed : int, optional
            Seed of the silos' draws; None for secrets of their own.
        folder : str, optional
            For rounds and silos' files; in memory without.
        columns, strict
            As for `Federation`.
        alter : mapping of str to callable, optional
            ``alter[silo](answer, request)`` returns what that silo sends in place of its answer,
            or raises; for experiments with faults and poisoned silos.
        """
        from sparkml_dist.federated.local_sites import local_sites

        sites = local_sites(
            silos,
            regression=regression,
            names=names,
            label=label,
            classes=classes,
            categories=categories,
            policy=policy,
            seed=seed,
            folder=folder,
        )
        return cls(LocalSilos(sites, alter), folder=folder, columns=columns, strict=strict)

    @classmethod
    def from_frame(
        cls,
        df: DataFrame,
        siloCol: str,
        *,
        label: str,
        features: str | Sequence[str] | None = None,
        weight: str | None = None,
        key: str | Sequence[str] | None = None,
        categorical: Sequence[str] = (),
        task: Task = "classification",
        policy: SiloPolicy | Mapping[str, SiloPolicy] | None = None,
        seed: int = 0,
        folder: str | None = None,
    ) -> Federation:
        """Return a federation whose silos are the values of a column of one DataFrame.

        One job writes the rows of each silo to a folder of shards of its own, and each round is one
        job, whose tasks read one silo after the other. It simulates a federation: whoever owns
        the cluster can read all rows.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Classic or Connect.
        siloCol : str
            Column with the names of silos.
        label, features, weight, key, categorical, task
            As for `partition`; features are stored as float64.
        policy : SiloPolicy, or mapping of str to SiloPolicy, optional
            Of all silos, or of each.
        seed : int, default=0
            Seed of the partition and of the silos' draws.
        folder : str, optional
            For shards, rounds and ledgers: a local path or URI that the driver and all workers can
            reach; a temporary folder by default. A second call with a folder of an earlier one
            goes on there.

        Raises
        ------
        DataError, ConfigurationError, ResourceError, StorageError
            As for `partition`; ``group_null`` where a row has no silo.
        """
        from sparkml_dist.federated.spark_silos import SparkSilos, silos_of_frame

        home = _home(df.sparkSession, folder)
        datasets = silos_of_frame(
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
        silos = SparkSilos(df.sparkSession, home, datasets, policy=policy, seed=seed)
        return cls(silos, folder=home.location)

    @classmethod
    def of_datasets(
        cls,
        datasets: Mapping[str, PartitionedDataset],
        *,
        policy: SiloPolicy | Mapping[str, SiloPolicy] | None = None,
        seed: int | None = None,
        folder: str | None = None,
        columns: str | Sequence[str] = "same",
        strict: bool = True,
    ) -> Federation:
        """Return a federation whose silos are partitioned data sets, at locations of their own.

        Each is read only by tasks of its own silo. It protects nothing against whoever owns the
        cluster.

        Parameters
        ----------
        datasets : mapping of str to PartitionedDataset
            By name of the silo.
        policy, seed, folder
            As for `from_frame`; without a seed, silos draw with secrets of their own.
        columns, strict
            As for `Federation`.
        """
        from sparkml_dist.federated.spark_silos import SparkSilos
        from sparkml_dist.session import get_session

        spark = get_session()
        home = _home(spark, folder)
        silos = SparkSilos(spark, home, datasets, policy=policy, seed=seed, together=False)
        return cls(silos, folder=home.location, columns=columns, strict=strict)

    # -- Rounds -----------------------------------------------------------------------------

    @property
    def schema(self) -> FederatedSchema:
        """The agreed schema; the silos agree in the first two rounds, when it is first needed.

        Raises
        ------
        DataError
            ``silos_differ``, naming what does not fit.
        TrainingError
            ``too_few_silos``.
        """
        if self._schema is None:
            self._agree()
        assert self._schema is not None
        return self._schema

    def ask(
        self,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        arrays: Mapping[str, npt.NDArray[Any]] | None = None,
        *,
        silos: Sequence[str] | None = None,
        own: _Own | None = None,
        minimum: int = 1,
    ) -> Replies:
        """Ask silos for one round of work.

        Parameters
        ----------
        kind : str
            One of `sparkml_dist.federated.works.WORKS`.
        facts : mapping of str to JSON values, optional
        arrays : mapping of str to ndarray, optional
        silos : sequence of str, optional
            Which silos; all by default.
        own : mapping of str to (facts, arrays), optional
            What only that silo gets, beside the rest.
        minimum : int, default=1
            Fewest silos that must answer.

        Returns
        -------
        Replies

        Raises
        ------
        TrainingError
            ``too_few_silos``, ``unknown_work``.
        ConfigurationError
            ``unknown_silo``; ``plan_differs`` when a round that is read from the folder had another
            request.
        """
        if work_of(kind).agreed and self._schema is None:
            self._agree()
        chosen = self._chosen(silos)
        asked = set(chosen)
        number = self._next
        common = Message(
            kind, number, "coordinator", self._facts(facts), dict(arrays or {}), self.run
        )
        mine = {
            name: Message(kind, number, "coordinator", dict(f), dict(a), self.run)
            for name, (f, a) in (own or {}).items()
            if name in asked
        }
        outcomes = self._round(number, common, mine, chosen, minimum)
        self._next += 1
        replies = Replies(self._rounds, number, outcomes)
        for name, failure in replies.failed.items():
            _logger.warning(
                "round %d, %s: the silo %s is not in it: [%s] %s",
                number,
                kind,
                name,
                failure.code,
                failure.message,
            )
        if len(replies) < minimum:
            raise _too_few(number, kind, replies, minimum)
        return replies

    def sum(
        self,
        kind: str,
        facts: Mapping[str, Any] | None = None,
        arrays: Mapping[str, npt.NDArray[Any]] | None = None,
        *,
        silos: Sequence[str] | None = None,
        own: _Own | None = None,
        minimum: int = 1,
        secure: SumProtocol | None = None,
        ranges: Mapping[str, float] | None = None,
    ) -> Summed:
        """Return the sum of the silos' answers, as float64 in the order of names.

        Parameters
        ----------
        kind, facts, arrays, silos, own, minimum
            As for `ask`. The arrays of this work may be summed.
        secure : SumProtocol, optional
            A protocol that hides the parts from the coordinator; the plain sum by default.
        ranges : mapping of str to float, optional
            Largest absolute value of each array's entries in one silo, for such a protocol.

        Raises
        ------
        TrainingError, ConfigurationError
            Those of `ask`; ``invalid_param`` for a work whose answers cannot be added up.
        """
        if not work_of(kind).summable:
            raise ConfigurationError(
                "invalid_param",
                f"The answers of the work {kind!r} cannot be added up.",
                "Ask for them with federation.ask.",
            )
        _ = self.schema  # silos that do not fit are left out before some are chosen
        return (secure or PlainSum()).sum(
            self,
            kind,
            dict(facts or {}),
            dict(arrays or {}),
            silos=self._chosen(silos),
            own=dict(own or {}),
            minimum=minimum,
            ranges=ranges,
        )

    @property
    def round(self) -> int:
        """Number of the next round."""
        return self._next

    def key(self, purpose: str) -> bytes:
        """Return 32 secret bytes for a purpose in the next round, the same in a resumed run."""
        self._secret = self._secret or stored_secret(self._folder)
        parts = [self._secret, self.run.encode(), str(self._next).encode(), purpose.encode()]
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).digest()

    # -- The ledger -------------------------------------------------------------------------

    def audit(self) -> pd.DataFrame:
        """Return the ledger: one row for each message to or from a silo, in the order of rounds.

        Columns: ``round``, ``kind``, ``silo``, ``direction`` (request or answer), ``bytes``,
        ``arrays`` (names, types and shapes), ``facts`` (names), ``checksum`` (SHA-256), ``epsilon``
        (so far, where noise is counted), ``refused`` (code of the error), ``time``. Messages that
        came too late or twice are at the end.
        """
        return ledger_frame(self._entries())

    def ledger(self, silo: str) -> pd.DataFrame:
        """Return the ledger that a silo in this process or application holds itself, as `audit`.

        Silos elsewhere hold theirs in their own folder.
        """
        self._chosen([silo])
        return ledger_frame(self._backend.ledger(silo, self.run))

    def note_epsilon(self, epsilon: float) -> None:
        """Have the ledger show a privacy loss with the requests of the next rounds."""
        self._epsilon = float(epsilon)

    def close(self) -> None:
        """End what the federation runs, such as a coordinator's server."""
        self._backend.close()

    def __enter__(self) -> Federation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Federation({len(self.names)} silos, round {self._next})"

    # -- Inside -----------------------------------------------------------------------------

    def _facts(self, facts: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**(facts or {}), **({} if self._epsilon is None else {"epsilon": self._epsilon})}

    def _chosen(self, silos: Sequence[str] | None) -> list[str]:
        if silos is None:
            return list(self.names)
        known = set(self.names)
        for name in silos:
            if name not in known:
                raise ConfigurationError(
                    "unknown_silo",
                    f"There is no silo {name!r} in the federation.{nearest(name, self.names)}",
                    f"It has {len(self.names):,} silos; federation.names lists them.",
                )
        return sorted(set(silos))

    def _agree(self) -> None:
        everyone = len(self.names) if self._strict else 1
        found: dict[str, FederatedSchema] = {}
        replies = self.ask("schema", minimum=everyone)
        for name, answer in replies:
            try:
                found[name] = FederatedSchema.from_dict(answer.facts["schema"])
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    "silos_differ", f"The silo {name!r} sends no schema: {error}."
                ) from error
        self._leave_out({n: f"[{f.code}] {f.message}" for n, f in replies.failed.items()})
        agreed = agree(found, columns=self._columns) if self._strict else self._fitting(found)
        replies = self.ask("agree", {"schema": agreed.to_dict()}, minimum=everyone)
        self._leave_out({n: f"[{f.code}] {f.message}" for n, f in replies.failed.items()})
        rows = {name: answer.facts["rows"] for name, answer in replies if "rows" in answer.facts}
        self._schema = replace(agreed, rows=rows)

    def _fitting(self, found: dict[str, FederatedSchema]) -> FederatedSchema:
        """Return the schema of the silos that fit those before them; leave out the others."""
        fitting: dict[str, FederatedSchema] = {}
        agreed: FederatedSchema | None = None
        for name, schema in sorted(found.items()):
            try:
                agreed = agree({**fitting, name: schema}, columns=self._columns)
                fitting[name] = schema
            except DataError as error:
                self._leave_out({name: str(error)})
        if agreed is None or not fitting:
            raise DataError("silos_differ", f"No silo fits: {self.left_out}.")
        return agree(fitting, columns=self._columns)

    def _leave_out(self, why: Mapping[str, str]) -> None:
        self.left_out.update(why)
        self.names = [name for name in self.names if name not in why]

    def _round(
        self,
        number: int,
        common: Message,
        own: Mapping[str, Message],
        silos: Sequence[str],
        minimum: int,
    ) -> dict[str, Outcome]:
        """Return the outcomes of a round: those of its record, or new ones, then committed."""
        digest = hashlib.sha256(common.pack())
        for name in sorted(own):
            digest.update(name.encode() + own[name].pack())
        digest.update("\0".join(silos).encode())
        checksum = digest.hexdigest()
        record = self._rounds.record(number)
        if record is not None:
            if record["request"] != checksum:
                raise ConfigurationError(
                    "plan_differs",
                    f"Round {number} of this federation was {record['kind']!r} with another "
                    f"request than the {common.kind!r} that is asked now.",
                    "Go on with the same algorithm, arguments and seed, or take a new folder.",
                )
            return {name: Outcome.from_dict(o) for name, o in record["silos"].items()}
        self._rounds.write_request(number, common, own)
        outcomes = self._backend.exchange(self._rounds, number, silos, self._schema, minimum)
        self._rounds.commit(
            number,
            {
                "kind": common.kind,
                "request": checksum,
                "silos": {name: outcome.to_dict() for name, outcome in sorted(outcomes.items())},
            },
        )
        return outcomes

    def _entries(self) -> Iterator[LedgerEntry]:
        for number in range(self._next):
            record = self._rounds.record(number)
            for value in (record or {"silos": {}})["silos"].values():
                outcome = Outcome.from_dict(value)
                yield outcome.request
                if outcome.answer is not None:
                    yield outcome.answer
        yield from self._backend.refusals()


def _home(spark: SparkSession, folder: str | None) -> Folder:
    """Return the folder that the caller names, or a temporary one that all workers reach."""
    if folder is None:
        return temporary_folder(spark, "federation", "folder")
    return Folder.at(folder)


def _too_few(number: int, kind: str, replies: Replies, minimum: int) -> TrainingError:
    named = [f"{n}: [{f.code}] {f.message}" for n, f in replies.failed.items()][:3]
    return TrainingError(
        "too_few_silos",
        f"{len(replies)} silos answered the work {kind!r} in round {number}, and {minimum} are "
        f"needed. {' '.join(named)}",
        "Wait for the silos and start again with the same folder, or ask for fewer (minimum=…).",
    )


def _opened(folder: str | None, names: Sequence[str]) -> tuple[str, Rounds]:
    """Return the run's identifier and its rounds: those of the folder, or new ones."""
    if folder is None:
        return secrets.token_hex(8), MemoryRounds(names)
    home = Folder.at(folder)
    if home.exists(_HOME):
        value = home.read_json(_HOME)
        if not isinstance(value, dict) or not isinstance(value.get("run"), str):
            raise StorageError(
                "altered_manifest",
                f"{home.uri(_HOME)!r} does not describe a federation.",
                "Restore it, or take a new folder.",
            )
        if value.get("silos") != list(names):
            raise ConfigurationError(
                "plan_differs",
                f"The federation in {home.location!r} has other silos.",
                "Go on with the same silos, or take a new folder.",
            )
        return value["run"], FolderRounds(home, names)
    run = secrets.token_hex(8)
    home.write_json(_HOME, {"run": run, "silos": list(names)})
    return run, FolderRounds(home, names)
