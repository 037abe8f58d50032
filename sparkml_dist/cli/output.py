"""The output folder of a job: its layout, and the replacement of an earlier output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.cli.job_plan import (
    JOB,
    differing,
    read_job,
    refuse_other_plan,
    write_job,
)
from sparkml_dist.cli.job_report import write_job_report
from sparkml_dist.dataset import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.manifest import MANIFEST
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.checksums import reading_fields
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder, is_unfinished
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.replacing import replace_folder

if TYPE_CHECKING:
    from sparkml_dist.cli.document import MetricsDocument
    from sparkml_dist.report.model_report import ModelReport

__all__ = ["JobOutput", "split_location"]


def split_location(location: str) -> tuple[Folder, str]:
    """Return the folder and the name of a file at a local path or URI."""
    where = Folder.at(location).location
    head, _, name = where.rpartition("/")
    return Folder.at(head or "/"), name


@dataclass
class JobOutput:
    """The output folder of a job.

    ``model/`` is the saved model, ``shards/`` the partitioned data, ``plots/`` the plots,
    ``rows/``, ``itemsets/`` and ``rules/`` are tables; ``metrics.json`` has the results,
    ``report.html`` shows them, and ``job.json`` is the plan that a resumed run must share.

    A run into an empty folder writes there directly. A run that replaces an earlier output writes
    into ``next/``, so that a failure leaves the earlier output unchanged; `commit` then moves the
    parts into place one by one. ``next/complete.json`` marks that this has begun: after a crash,
    the next run in the folder completes the move.

    Attributes
    ----------
    home : Folder
        The folder that the user named.
    overwrite, resume : bool
        What to do with an existing output.
    """

    METRICS: ClassVar[str] = "metrics.json"
    FAILED: ClassVar[str] = "metrics.failed.json"
    REPORT: ClassVar[str] = "report.html"
    FAILED_REPORT: ClassVar[str] = "report.failed.html"
    JOB: ClassVar[str] = JOB
    NEXT: ClassVar[str] = "next"
    _COMPLETE: ClassVar[str] = "complete.json"
    # All files and folders that any job writes.
    _ROOMS: ClassVar[tuple[str, ...]] = (
        *("model", "uncalibrated", "shards", "plots", "policy"),
        *("rows", "itemsets", "rules", "work"),
    )
    _FILES: ClassVar[tuple[str, ...]] = (
        *("profile.json", "profile.html", "drift.json", "drift.html"),
        *(REPORT, "model_card.md"),
        *("network.bif", "network.png", "network.svg"),
        *("ledger.csv", "ledger.html"),
        *(METRICS, JOB),
    )
    # Parts of a plan that decide how rows are partitioned, not which rows.
    _CUT: ClassVar[tuple[str, ...]] = ("shards", "memory_per_task", "shards_from")

    home: Folder
    overwrite: bool = False
    resume: bool = False
    # Whether the metrics are written to this folder.
    tells_metrics: bool = True
    # Parts of the earlier output that the new one reuses.
    kept: set[str] = field(default_factory=set)
    # What is known of the model, for the job's report.
    model_report: ModelReport | None = None
    _staged: bool = False
    _claimed: bool = False
    _resumed: bool = False
    _lock: FolderLock | None = None

    @property
    def folder(self) -> Folder:
        """The folder that this run writes to; `place` gives the final locations."""
        return self.home.child(self.NEXT) if self._staged else self.home

    @property
    def model(self) -> Folder:
        """The folder for the model of this run."""
        return self.folder.child("model")

    @property
    def shards(self) -> Folder:
        """The folder for the shards of this run."""
        return self.folder.child("shards")

    @property
    def plots(self) -> Folder:
        """The folder for the plots of this run."""
        return self.folder.child("plots")

    def place(self, name: str) -> str:
        """Return the location of `name` after a successful run."""
        return self.home.uri(name)

    # -- one run at a time -------------------------------------------------------------------

    def lock(self, application: str) -> None:
        """Lock the folder against other runs until `unlock`.

        Raises
        ------
        StorageError
            ``output_busy``.
        """
        lock = FolderLock(self.home, application=application)
        lock.acquire()
        self._lock = lock

    def unlock(self) -> None:
        """Release the lock; no error if `lock` was not called."""
        if self._lock is not None:
            self._lock.release()

    # -- begin ---------------------------------------------------------------------------------

    def check(self, plan: dict[str, Any]) -> bool:
        """Raise where the folder must not be written to; runs without Spark.

        Parameters
        ----------
        plan : dict
            JSON values that a resumed run must share. Returns
        -------
        bool
            Whether an earlier run is resumed.

        Raises
        ------
        StorageError
            ``output_exists``.
        ConfigurationError
            ``plan_differs`` when the earlier run had another plan.
        """
        self._staged = False
        self._finish_replacing()
        if self._is_free():
            return False
        if not self._is_ours(self.home):
            raise StorageError(
                "output_exists",
                f"{self.home.location!r} is not empty, and no job's output.",
                "Choose another folder; this one will not be overwritten.",
            )
        if not (self.overwrite or self.resume):
            raise StorageError(
                "output_exists",
                f"{self.home.location!r} already holds the output of a job.",
                "Pass --overwrite to replace it, --resume to complete it, or another folder.",
            )
        self._staged = self._resumes_next(plan) if self.resume else True
        return self.resume

    def claim(self, plan: dict[str, Any]) -> bool:
        """Claim the folder for this run; return whether an earlier run is resumed.

        Parameters
        ----------
        plan : dict
            JSON values that a run to resume must share.

        Raises
        ------
        StorageError, ConfigurationError
            As raised by `check`.
        """
        resumed = self.check(plan)
        if not resumed:
            if self._staged:
                self.folder.delete()
            write_job(self.folder, plan)
        self._claimed, self._resumed = True, resumed
        return resumed

    def outcome(self) -> dict[str, Any] | None:
        """Return the metrics of the resumed run if it is complete, else None."""
        if self._staged:  # complete, but perhaps not in place
            return None
        found = read_job(self.folder).get("outcome")
        if not isinstance(found, dict):
            return None
        recorded = self.folder.read_object(self.METRICS)  # has the total seconds too
        return recorded if recorded.get("run_id") == found.get("run_id") else found

    def shards_for(self, plan: dict[str, Any]) -> PartitionedDataset:
        """Return the shards of this output, for a job with another output.

        Parameters
        ----------
        plan : dict
            The plan of the other job.

        Raises
        ------
        StorageError
            ``not_a_dataset`` when this output has none.
        ConfigurationError
            ``plan_differs`` when they were made of other rows.
        """
        if not (self._is_ours(self.home) and self.shards.exists(MANIFEST)):
            raise StorageError(
                "not_a_dataset",
                f"{self.home.location!r} holds no job's shards.",
                "Name the output folder of a training job that made shards.",
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
        """Move a complete output into place, and delete the output that it replaces.

        Parameters
        ----------
        document : MetricsDocument
            Complete except for the total seconds.

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
        write_job_report(self.folder, outcome, self.REPORT, model=self.model_report)
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
        """Write the metrics of a run into the folder, if they belong there.

        A failed run does not replace the metrics of a successful one; it writes its own beside
        them. Nothing is written to a folder that is no job's, or that another run has locked.

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
        if document.error is not None:
            page = self.REPORT if name == self.METRICS else self.FAILED_REPORT
            write_job_report(self.home, document.to_dict(), page)
        return self.home.uri(name)

    # -- state of the folder ----------------------------------------------------------------------

    def _finish_replacing(self) -> None:
        """Complete the move of a complete output from ``next/``, if there is one."""
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
        for name in self._FILES:  # metrics and plan last
            if name not in files:
                self.home.delete_file(name)
            elif new.exists(name):
                new.move(name, name, self.home)
        self._delete_leftovers()

    def _delete_unusable(self) -> None:
        """Delete the parts of a failed new run that cannot be reused; a complete model stays."""
        if not self._claimed or self._resumed or self.model.exists(MANIFEST):
            return
        if self._staged:
            self.folder.delete()
            return
        for room in self._ROOMS:
            self.folder.child(room).delete()
        self.folder.delete_file(self.JOB)

    def _delete_leftovers(self) -> None:
        """Delete the leftovers of failed and killed runs after a successful one."""
        self.home.child(self.NEXT).delete()
        self.home.delete_file(self.FAILED)
        self.home.delete_file(self.FAILED_REPORT)
        for name in self.home.walk():
            if is_unfinished(name):
                self.home.delete_file(name)

    def _is_free(self) -> bool:
        """Return whether the folder is empty except for the leftovers of runs that failed early."""
        files = {name for name in self.home.walk() if not is_unfinished(name)}
        files = {name for name in files if not name.startswith(LOCK_PREFIX)}
        if files & {self.METRICS, self.FAILED}:  # else they are somebody's
            files -= {self.REPORT, self.FAILED_REPORT}
        if not files <= {self.JOB, self.METRICS, self.FAILED}:
            return False
        if self.METRICS in files:
            return self._metrics().get("status") == "failed"
        return self.JOB not in files or self._is_ours(self.home)

    def _is_good(self) -> bool:
        """Return whether the folder holds a complete output."""
        return bool(read_job(self.home).get("outcome")) or self._metrics().get("status") == "ok"

    def _is_ours(self, folder: Folder) -> bool:
        return bool(read_job(folder))

    def _metrics(self) -> dict[str, Any]:
        return self.home.read_object(self.METRICS)

    def _resumes_next(self, plan: dict[str, Any]) -> bool:
        """Return whether to resume the run in ``next/``, or else the output itself."""
        new = self.home.child(self.NEXT)
        begun = [folder for folder in (new, self.home) if self._is_ours(folder)]
        for folder in begun:
            if not differing(folder, plan):
                return folder is new
        refuse_other_plan(
            begun[0], plan, hint="Resume with the same options, or begin again with --overwrite."
        )
        return False
