"""The output folder of a training job: what lies where, and when it may be written to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

from sparkml_dist.dataset import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.manifest import MANIFEST
from sparkml_dist.dataset.table_schema import TableSchema
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.seal import check_sealed, sealed

__all__ = ["JobOutput", "read_table_schema", "split_location", "write_table_schema"]

_TABLE = "table.json"
_TABLE_FORMAT = "sparkml_dist.table"
_PROTOCOL = 1


def split_location(location: str) -> tuple[Folder, str]:
    """Return the folder and the name of a file at a local path or URI."""
    where = Folder.at(location).location
    head, _, name = where.rpartition("/")
    return Folder.at(head or "/"), name


def write_table_schema(model: Folder, schema: TableSchema) -> None:
    """Write how the training table was read beside a model, for `read_table_schema`."""
    value = {"format": _TABLE_FORMAT, "protocol": _PROTOCOL, "table": schema.to_dict()}
    model.write_json(_TABLE, sealed(value))


def read_table_schema(model: Folder) -> TableSchema | None:
    """Return how a model's training table was read; None where that was not kept.

    Raises
    ------
    StorageError
        When the file was altered or is of a newer protocol.
    """
    if not model.exists(_TABLE):
        return None
    value = model.read_json(_TABLE)
    check_sealed(value, _TABLE_FORMAT, _PROTOCOL, model.uri(_TABLE))
    return TableSchema.from_dict(value["table"])


@dataclass
class JobOutput:
    """The output folder of a training job.

    ``model/`` is the saved model, ``shards/`` the partitioned data, ``plots/`` the pictures,
    ``metrics.json`` the outcome and ``job.json`` the plan that a resumed run must share.

    Attributes
    ----------
    folder : Folder
    overwrite, resume : bool
        What to do where there is something already.
    """

    METRICS: ClassVar[str] = "metrics.json"
    JOB: ClassVar[str] = "job.json"
    _ROOMS: ClassVar[tuple[str, ...]] = ("model", "shards", "plots")
    # Parts of a plan that say how rows are cut, not which.
    _CUT: ClassVar[tuple[str, ...]] = ("shards", "memory_per_task", "shards_from")

    folder: Folder
    overwrite: bool = False
    resume: bool = False
    _claimed: bool = False

    @property
    def model(self) -> Folder:
        """Where the model is saved."""
        return self.folder.child("model")

    @property
    def shards(self) -> Folder:
        """Where the partitioned data lies."""
        return self.folder.child("shards")

    @property
    def plots(self) -> Folder:
        """Where the pictures lie."""
        return self.folder.child("plots")

    def check(self, plan: dict[str, Any]) -> bool:
        """Raise where the folder must not be written to; needs no Spark.

        Parameters
        ----------
        plan : dict
            JSON values that decide the shards.

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
        if self._is_free():
            return False
        if not self.folder.exists(self.JOB):
            raise StorageError(
                "output_exists",
                f"{self.folder.location!r} is not empty, and no job's output.",
                "Choose another folder; it will not be overwritten.",
            )
        if not (self.overwrite or self.resume):
            raise StorageError(
                "output_exists",
                f"{self.folder.location!r} holds the output of a job already.",
                "Pass --overwrite to replace it, --resume to complete it, or another folder.",
            )
        if self.resume:
            self._refuse_other_plan(
                plan, hint="Resume with the same options, or begin anew with --overwrite."
            )
        return self.resume

    def claim(self, plan: dict[str, Any]) -> bool:
        """Make the folder this run's own; return whether an earlier run is resumed.

        Parameters
        ----------
        plan : dict
            JSON values that decide the shards.

        Raises
        ------
        StorageError, ConfigurationError
            As `check`.
        """
        resumed = self.check(plan)
        if not resumed:
            for room in self._ROOMS:
                self.folder.child(room).delete()
            self.folder.delete_file(self.METRICS)
        self.folder.create()
        self.folder.write_json(self.JOB, {"plan": plan})
        self._claimed = True
        return resumed

    def lend_shards(self, plan: dict[str, Any]) -> PartitionedDataset:
        """Return the shards of this output for a job with another output.

        Parameters
        ----------
        plan : dict
            The other job's.

        Raises
        ------
        StorageError
            ``no_shards`` when there are none here.
        ConfigurationError
            ``plan_differs`` when they were cut from other rows.
        """
        if not (self.folder.exists(self.JOB) and self.shards.exists(MANIFEST)):
            raise StorageError(
                "no_shards",
                f"{self.folder.location!r} holds no job's shards.",
                "Name the output folder of a training job that cut its data.",
            )
        self._refuse_other_plan(
            plan, ignoring=self._CUT, hint="Give both jobs the same data, columns and seed."
        )
        return open_partitioned(self.shards.location)

    def may_hold_metrics(self) -> bool:
        """Tell whether a failed run may write its metrics into the folder."""
        return self._claimed or self._is_free()

    def _is_free(self) -> bool:
        """Tell whether the folder is empty but for what a run leaves that failed early."""
        files = {*self.folder.walk()} - {self.JOB}
        if files != {self.METRICS}:
            return not files
        try:
            found = self.folder.read_json(self.METRICS)
        except SparkMLDistError:
            return False
        return isinstance(found, dict) and found.get("status") == "failed"

    def _refuse_other_plan(
        self, plan: dict[str, Any], *, hint: str, ignoring: Collection[str] = ()
    ) -> None:
        stored = self.folder.read_json(self.JOB).get("plan", {})
        differing = [
            f"{key}: {stored.get(key)!r} then, {plan.get(key)!r} now"
            for key in sorted({*stored, *plan} - {*ignoring})
            if stored.get(key) != plan.get(key)
        ]
        if differing:
            raise ConfigurationError(
                "plan_differs",
                f"The earlier run in {self.folder.location!r} differs in {'; '.join(differing)}.",
                hint,
            )
