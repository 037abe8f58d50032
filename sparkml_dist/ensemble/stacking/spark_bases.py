"""Spark ML stages as base learners: fitted on the shards' rows, with predictions out of fold."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import sparkml_dist.errors as errors
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.ensemble.stacking.spark_folder import load_stage, save_stage
from sparkml_dist.ensemble.stacking.spark_rows import (
    FEATURES,
    PART,
    ROW,
    SHARD,
    feature_vector,
    shard_rows,
)
from sparkml_dist.ensemble.stacking.spark_stage import (
    class_codes,
    output,
    ready,
)
from sparkml_dist.errors import ResourceError, SparkMLDistError, TrainingError
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, check_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SparkBases", "with_outputs"]

_logger = logging.getLogger(__name__)

_COMPLETE = "complete.json"
_WHOLE = "whole"


@dataclass
class SparkBases:
    """Fits Spark ML stages with each part of the rows held out, and on all rows.

    Attributes
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
        The model's folder; a base learner is stored in ``spark-NAME/``.
    stages : dict of str to Estimator
        The base learners by name.
    parts : sequence of Subset
    refits : bool
        Whether they are fitted on all rows as well.
    trusted : sequence of str
    fitted : int
        Number of fits done.
    """

    spark: SparkSession
    data: PartitionedDataset
    folder: Folder
    stages: dict[str, Any]
    parts: Sequence[Subset]
    refits: bool
    trusted: Sequence[str] = ()
    fitted: int = 0

    def fit(self, *, level_one: bool) -> None:
        """Fit what is not committed, and write the base learners' outputs on their held-out parts.

        Parameters
        ----------
        level_one : bool
            Whether level one is needed, or only the base learners that the model keeps.
        """
        rounds = [_WHOLE] if self.refits else []
        rounds += [f"part-{p}" for p in range(len(self.parts) if level_one else 0)]
        if not self.refits and not level_one:
            rounds = ["part-0"]
        open_rounds = [
            (name, kind) for name in self.stages for kind in rounds if not self._done(name, kind)
        ]
        open_outputs = [
            name for name in self.stages if level_one and not self.outputs(name).exists(_COMPLETE)
        ]
        if not (open_rounds or open_outputs):
            return
        rows = shard_rows(self.spark, self.data, self.parts).persist()
        try:
            for name, kind in open_rounds:
                self._fit_one(rows, name, kind)
            for name in open_outputs:
                self._write_outputs(rows, name)
        finally:
            rows.unpersist()

    def home(self, name: str) -> Folder:
        """Return the folder of a base learner."""
        return self.folder.child(f"spark-{name}")

    def outputs(self, name: str) -> Folder:
        """Return the folder of a base learner's outputs for the rows of each shard."""
        return self.home(name).child("outputs")

    def content(self, name: str) -> dict[str, Any]:
        """Return the manifest's content for the base learner that the model keeps."""
        record = self._record(name, self._staying)
        return {"path": f"spark-{name}/{self._staying}", "codes": record["codes"]}

    def files(self) -> list[ModelFile]:
        """Return the files of the base learners that the model keeps."""
        return [
            replace(file, name=f"spark-{name}/{file.name}")
            for name in self.stages
            for file in self._files(name, self._staying)
        ]

    @property
    def _staying(self) -> str:
        return _WHOLE if self.refits else "part-0"

    def _record(self, name: str, kind: str) -> dict[str, Any]:
        record: dict[str, Any] = self.home(name).read_json(f"{kind}.json")
        return record

    def _files(self, name: str, kind: str) -> list[ModelFile]:
        """Return the files of a fitted base learner, with names relative to its folder."""
        return [ModelFile.from_dict(f) for f in self._record(name, kind)["files"]]

    def clear(self) -> None:
        """Delete what only level one needed."""
        for name in self.stages:
            self.outputs(name).delete()
            for part in range(len(self.parts) if self.refits else 0):
                self.home(name).delete_file(f"part-{part}.json")
                self.home(name).child(f"part-{part}").delete()

    # -- steps ----------------------------------------------------------------------------

    def _done(self, name: str, kind: str) -> bool:
        return self.home(name).exists(f"{kind}.json")

    def _fit_one(self, rows: DataFrame, name: str, kind: str) -> None:
        from pyspark.sql import functions as F

        seen = rows
        if kind != _WHOLE:
            seen = rows.where(F.col(PART) != int(kind.removeprefix("part-")))
        stage = ready(self.stages[name], weighted=self.data.manifest.weight is not None)
        _logger.info("fitting the base learner %r (%s)", name, kind)
        try:
            with job_description(self.spark, f"sparkml_dist: fit the base learner {name} ({kind})"):
                model = stage.fit(seen.drop(SHARD, ROW, PART))
        except Exception as error:
            message = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TrainingError(
                "member_failed",
                f"The base learner {name!r} failed ({kind}): {message}",
                getattr(error, "hint", "")
                or "Finished fits are committed: resume=True fits only what is missing.",
            ) from error
        home = self.home(name)
        files = save_stage(model, home, kind)
        record = {"codes": class_codes(model), "files": [f.to_dict() for f in files]}
        home.write_json(f"{kind}.json", record)
        self.fitted += 1

    def _write_outputs(self, rows: DataFrame, name: str) -> None:
        """Write the outputs of each part's base learner on that part, in the order of the rows."""
        from pyspark.sql import functions as F

        n_classes = len(self.data.manifest.label.classes)
        parts_scored = []
        for part in range(len(self.parts)):
            kind = f"part-{part}"
            files = self._files(name, kind)
            check_files(self.home(name), files)
            model = load_stage(self.home(name), kind, files, self.trusted)
            scored = model.transform(rows.where(F.col(PART) == part))
            codes = self._record(name, kind)["codes"]
            outputs = output(scored, name, codes, n_classes).alias("outputs")
            parts_scored.append(scored.select(SHARD, ROW, outputs))
        together = reduce(lambda a, b: a.unionByName(b), parts_scored)
        shards = len(self.data.shards)
        placed = together.repartitionById(shards, F.col(SHARD))
        writing = _OutputWriting(
            name,
            self.outputs(name),
            tuple(s.rows for s in self.data.shards),
            max(1, n_classes),
        )
        with job_description(self.spark, f"sparkml_dist: predict out of fold with {name}"):
            collected = placed.mapInArrow(writing, "outcome string").collect()
        for outcome in (json.loads(r["outcome"]) for r in collected):
            if outcome["error"]:
                name, *details = outcome["error"]
                raise getattr(errors, name)(*details)
        self.outputs(name).write_json(_COMPLETE, {"rows": self.data.n_rows})


@dataclass(frozen=True)
class _OutputWriting:
    """Writes a base learner's outputs for a shard in the rows' order, in the shard's own task."""

    name: str
    home: Folder
    rows: tuple[int, ...]
    width: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        shard = context.partitionId()
        outputs = np.full((self.rows[shard], self.width), np.nan, np.float32)
        error: SparkMLDistError | None = None
        for batch in batches:
            if (batch.column(0).to_numpy() != shard).any():
                error = ResourceError(
                    "shards_lost",
                    f"Spark put rows of other shards into the partition of shard {shard}.",
                    "Does adaptive execution coalesce partitions? See spark-defaults.conf.",
                )
                continue
            lists = batch.column(2)
            lengths = np.diff(lists.offsets.to_numpy())
            if (lengths != self.width).any():
                found = int(lengths[lengths != self.width][0])
                error = TrainingError(
                    "output_width",
                    f"The base learner {self.name!r} returned {found} probabilities for "
                    f"{self.width} classes: a class that is missing from a fold is unknown to the "
                    "stage fitted without it.",
                    "Use fewer folds, more rows of that class, or another base learner.",
                )
                continue
            values = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, self.width)
            outputs[batch.column(1).to_numpy()] = values
            if error is None and np.isnan(values).any():
                error = TrainingError(
                    "output_missing",
                    f"The base learner {self.name!r} returned NaN for rows of shard {shard}.",
                    "Does the data have missing values? Put an Imputer before it, in a Pipeline.",
                )
        if error is None:
            write_array(self.home, f"shard-{shard:05d}.npy", outputs)
        details = error and [type(error).__name__, error.code, error.message, error.hint]
        yield pa.RecordBatch.from_pydict({"outcome": [json.dumps({"error": details})]})


def with_outputs(
    df: DataFrame,
    schema: FeatureSchema,
    bases: Sequence[tuple[str, Any, Sequence[int] | None]],
    n_classes: int,
) -> DataFrame:
    """Return `df` with a column of each base learner's outputs; a plan, which does not run yet.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    schema : FeatureSchema
        How the columns become features.
    bases : sequence of (column, model, codes)
        Name of the column to add, fitted Spark ML model, class codes of its probabilities.
    n_classes : int
        0 for a regression.
    """
    from pyspark.sql import functions as F

    # The columns of `df` are packed, so that they do not clash with those of the base learners.
    packed = df.select(
        F.struct("*").alias(ROW),
        feature_vector(schema).alias(FEATURES),
    )
    made: list[str] = []
    for column, model, codes in bases:
        scored = model.transform(packed)
        outputs = output(scored, column, codes, n_classes).alias(column)
        packed = scored.select(ROW, FEATURES, *made, outputs)
        made.append(column)
    return packed.select(f"{ROW}.*", *made)
