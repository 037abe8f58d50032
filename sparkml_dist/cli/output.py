"""The output folder of a job: what lies where, and when it takes the place of an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.cli.job_plan import (
    JOB,
    differing,
    read_job,
    read_object,
    refuse_other_plan,
    write_job,
)
from sparkml_dist.dataset import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.manifest import MANIFEST
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.checksums import reading_fields
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder, is_unfinished
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.replacing import replace_folder

if TYPE_CHECKING:
    from sparkml_dist.cli.document import MetricsDocument

__all__ = ["JobOutput", "split_location"]


def split_location(location: str) -> tuple[Folder, str]:
    """Return the folder and the name of a file at a local path or URI."""
    where = Folder.at(location).location
    head, _, name = where.rpartition("/")
    return Folder.at(head or "/"), name


@dataclass
class JobOutput:
    """The output folder of a job.

    ``model/`` is the saved model, ``shards/`` the partitioned data, ``plots/`` the pictures,
    ``rows/``, ``itemsets/`` and ``rules/`` are tables; ``metrics.json`` is the outcome and
    ``job.json`` the plan that a resumed run must share.

    A run into a free folder works where its output will lie. One that replaces an earlier output
    works in ``next/``, as if that were its folder, so that whatever ends it leaves the earlier
    output as it was; `commit` puts the rooms in place one by one. ``next/complete.json`` says that
    this has begun, and the next run at the folder ends it where a crash cut it off.

    Attributes
    ----------
    home : Folder
        What the user named.
    overwrite, resume : bool
        What to do where there is something already.
    """

    METRICS: ClassVar[str] = "metrics.json"
    FAILED: ClassVar[str] = "metrics.failed.json"
    JOB: ClassVar[str] = JOB
    NEXT: ClassVar[str] = "next"
    _COMPLETE: ClassVar[str] = "complete.json"
    # All that a job writes into its folder, of whatever kind it is.
    _ROOMS: ClassVar[tuple[str, ...]] = (
        *("model", "uncalibrated", "shards", "plots"),
        *("rows", "itemsets", "rules", "work"),
    )
    _FILES: ClassVar[tuple[str, ...]] = (
        *("profile.json", "profile.html", "drift.json", "drift.html"),
        *(METRICS, JOB),
    )
    # Parts of a plan that say how rows are cut, not which.
    _CUT: ClassVar[tuple[str, ...]] = ("shards", "memory_per_task", "shards_from")

    home: Folder
    overwrite: bool = False
    resume: bool = False
    # Whether the metrics have their place here, and not elsewhere.
    tells_metrics: bool = True
    # Rooms of the earlier output that belong to the new one, too.
    kept: set[str] = field(default_factory=set)
    _staged: bool = False
    _claimed: bool = False
    _resumed: bool = False
    _lock: FolderLock | None = None

    @property
    def folder(self) -> Folder:
        """Where this run writes; see `place` for where its output will lie."""
        return self.home.child(self.NEXT) if self._staged else self.home

    @property
    def model(self) -> Folder:
        """Where this run saves the model."""
        return self.folder.child("model")

    @property
    def shards(self) -> Folder:
        """Where this run cuts the data into."""
        return self.folder.child("shards")

    @property
    def plots(self) -> Folder:
        """Where this run draws."""
        return self.folder.child("plots")

    def place(self, name: str) -> str:
        """Return the location that `name` has when the run has ended well."""
        return self.home.uri(name)

    # -- one run at a time -------------------------------------------------------------------

    def lock(self, application: str) -> None:
        """Keep other runs out of the folder until `unlock`.

        Raises
        ------
        StorageError
            ``output_busy``.
        """
        lock = FolderLock(self.home, application=application)
        lock.acquire()
        self._lock = lock

    def unlock(self) -> None:
        """Let other runs in again; no error where `lock` was not called."""
        if self._lock is not None:
            self._lock.release()

    # -- begin ---------------------------------------------------------------------------------

    def check(self, plan: dict[str, Any]) -> bool:
        """Raise where the folder must not be written to; needs no Spark.

        Parameters
        ----------
        plan : dict
            JSON values that a run to resume must share.

        Returns
        -------
        bool
            Whether an earlier run is resumed.

        Raises
        ------
        StorageError
            ``output_exists``.
        ConfigurationError
            ``plan_differs`` when the run to resume had another plan.
        """
        self._staged = False
        self._finish_replacing()
        if self._is_free():
            return False
        if not self._is_ours(self.home):
            raise StorageError(
                "output_exists",
                f"{self.home.location!r} is not empty, and no job's output.",
                "Choose another folder; it will not be overwritten.",
            )
        if not (self.overwrite or self.resume):
            raise StorageError(
                "output_exists",
                f"{self.home.location!r} holds the output of a job already.",
                "Pass --overwrite to replace it, --resume to complete it, or another folder.",
            )
        self._staged = self._resumes_next(plan) if self.resume else True
        return self.resume

    def claim(self, plan: dict[str, Any]) -> bool:
        """Make the folder this run's own; return whether an earlier run is resumed.

        Parameters
        ----------
        plan : dict
            JSON values that a run to resume must share.

        Raises
        ------
        StorageError, ConfigurationError
            As `check`.
        """
        resumed = self.check(plan)
        if not resumed:
            if self._staged:
                self.folder.delete()
            write_job(self.folder, plan)
        self._claimed, self._resumed = True, resumed
        return resumed

    def outcome(self) -> dict[str, Any] | None:
        """Return the metrics of the complete run that is resumed; None where it is incomplete."""
        if self._staged:  # all that lacks may be its place
            return None
        found = read_job(self.folder).get("outcome")
        if not isinstance(found, dict):
            return None
        recorded = read_object(self.folder, self.METRICS)  # with the total of seconds, too
        return recorded if recorded.get("run_id") == found.get("run_id") else found

    def shards_for(self, plan: dict[str, Any]) -> PartitionedDataset:
        """Return the shards of this output for a job with another output.

        Parameters
        ----------
        plan : dict
            The other job's.

        Raises
        ------
        StorageError
            ``not_a_dataset`` when there are none here.
        ConfigurationError
            ``plan_differs`` when they were cut from other rows.
        """
        if not (self._is_ours(self.home) and self.shards.exists(MANIFEST)):
            raise StorageError(
                "not_a_dataset",
                f"{self.home.location!r} holds no job's shards.",
                "Name the output folder of a training job that cut its data.",
            )
        refuse_other_plan(
            self.home,
            plan,
            ignoring=self._CUT,
            hint="Give both jobs the same data, columns and seed.",
        )
        return open_partitioned(self.shards.location)

    # -- end -----------------------------------------------------------------------------------

    def commit(self, document: MetricsDocument) -> None:
        """Put a complete output in place, and delete what it replaces.

        Parameters
        ----------
        document : MetricsDocument
            Complete but for the total of seconds.

        Raises
        ------
        StorageError
            ``lock_lost``.
        """
        if self._lock is not None:
            self._lock.check()
        document.status = "ok"
        outcome = document.to_dict()
        self.folder.child("work").delete()
        if self.tells_metrics:
            self.folder.write_json(self.METRICS, outcome)
        write_job(self.folder, read_job(self.folder).get("plan"), outcome)
        if self._staged:
            rooms = [room for room in self._ROOMS if self.folder.child(room).exists()]
            content = {"rooms": [*rooms, *self.kept], "files": self.folder.names()}
            self.folder.write_json(self._COMPLETE, content)
            self._finish_replacing()
            self._staged = False
        else:
            self._delete_leftovers()

    def record(self, document: MetricsDocument) -> str | None:
        """Write the metrics of a run into the folder, where they have a place there.

        A run that failed does not replace the metrics of one that ended well; its own lie beside
        them. A folder of somebody else is left as it is, and one in which another run works.

        Returns
        -------
        str or None
            Location of the file.
        """
        if self._lock is None or not self._lock.held:
            try:
                self.lock(document.job)
            except StorageError:
                return None
        if document.error is not None and document.error["exit_status"] == DataError.exit_status:
            self._delete_unusable()
        own = self._claimed and not self._staged and not self._is_good()
        if document.status == "ok" or own or self._is_free():
            name = self.METRICS
        elif self._is_ours(self.home):
            name = self.FAILED
        else:
            return None
        self.home.write_json(name, document.to_dict())
        return self.home.uri(name)

    # -- what lies there -----------------------------------------------------------------------

    def _finish_replacing(self) -> None:
        """Put in place what a complete run left in ``next/``, if there is one."""
        new = self.home.child(self.NEXT)
        if not new.exists(self._COMPLETE):
            return
        content = new.read_json(self._COMPLETE)
        with reading_fields(new.uri(self._COMPLETE), f"Delete {new.location!r}."):
            rooms, files = set(content["rooms"]), set(content["files"])
        for room in self._ROOMS:
            if room in rooms:
                replace_folder(new.child(room), self.home.child(room))
            else:
                self.home.child(room).delete()
        for name in self._FILES:  # the metrics and the plan come last
            if name not in files:
                self.home.delete_file(name)
            elif new.exists(name):
                new.move(name, name, self.home)
        self._delete_leftovers()

    def _delete_unusable(self) -> None:
        """Delete what a new run made of data that cannot be used; a complete model stays."""
        if not self._claimed or self._resumed or self.model.exists(MANIFEST):
            return
        if self._staged:
            self.folder.delete()
            return
        for room in self._ROOMS:
            self.folder.child(room).delete()
        self.folder.delete_file(self.JOB)

    def _delete_leftovers(self) -> None:
        """Delete what runs left that failed or were killed, now that one has ended well."""
        self.home.child(self.NEXT).delete()
        self.home.delete_file(self.FAILED)
        for name in self.home.walk():
            if is_unfinished(name):
                self.home.delete_file(name)

    def _is_free(self) -> bool:
        """Tell whether the folder is empty but for what a run leaves that failed early."""
        files = {name for name in self.home.walk() if not is_unfinished(name)}
        files = {name for name in files if not name.startswith(LOCK_PREFIX)}
        if not files <= {self.JOB, self.METRICS, self.FAILED}:
            return False
        if self.METRICS in files:
            return self._metrics().get("status") == "failed"
        return self.JOB not in files or self._is_ours(self.home)

    def _is_good(self) -> bool:
        """Tell whether a complete output lies there."""
        return bool(read_job(self.home).get("outcome")) or self._metrics().get("status") == "ok"

    def _is_ours(self, folder: Folder) -> bool:
        return bool(read_job(folder))

    def _metrics(self) -> dict[str, Any]:
        return read_object(self.home, self.METRICS)

    def _resumes_next(self, plan: dict[str, Any]) -> bool:
        """Tell whether to complete the run that was to replace the output, or that itself."""
        new = self.home.child(self.NEXT)
        begun = [folder for folder in (new, self.home) if self._is_ours(folder)]
        for folder in begun:
            if not differing(folder, plan):
                return folder is new
        refuse_other_plan(
            begun[0], plan, hint="Resume with the same options, or begin anew with --overwrite."
        )
        return False
