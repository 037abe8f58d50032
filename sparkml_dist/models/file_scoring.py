"""Scores Parquet files into Parquet files: tasks read and write them, no row goes through Spark."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.models.scored_file import FileScorer, score_file
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.replacing import replace_folder
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["DONE", "ScoredFiles", "score_files"]

_logger = logging.getLogger(__name__)

#: Bytes of a file up to which one task reads all of it; more are cut at row groups.
_PART_BYTES = 128 << 20
_TASKS_PER_SLOT = 8
_PLAN = "_plan.json"
#: Names the plan and the result; readers of Parquet skip it.
DONE = "_scores.json"


@dataclass(frozen=True)
class ScoredFiles:
    """What `score_files` wrote.

    Attributes
    ----------
    location : str
        The folder.
    rows : int
    files : int
    kept_files : int
        Of an earlier run that was resumed.
    peak_worker_rss : int
        Bytes of the largest worker.
    """

    location: str
    rows: int
    files: int
    kept_files: int
    peak_worker_rss: int


@dataclass(frozen=True)
class Part:
    """Row groups of an input file, which become an output file.

    Attributes
    ----------
    name : str
        Of the input file, relative to the folder.
    number, parts : int
        Which of how many equal runs of row groups.
    """

    name: str
    number: int
    parts: int

    def output(self, index: int) -> str:
        """Return the name of the output file, in the same folder of partition columns."""
        head, _, tail = self.name.rpartition("/")
        known = hashlib.sha256(f"{tail}/{self.number}/{self.parts}".encode()).hexdigest()[:12]
        return f"{head}/part-{index:05d}-{known}.parquet".lstrip("/")


def score_files(
    spark: SparkSession,
    scorer: FileScorer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    identity: Sequence[str],
    overwrite: bool = False,
    resume: bool = False,
    finish: Callable[[Folder, ScoredFiles], None] | None = None,
) -> ScoredFiles:
    """Score the Parquet files of a folder, file by file.

    Each output file is committed by itself, in a folder beside the target that takes its place at
    the end.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    scorer : FileScorer
    source, target : str or path-like
        A Parquet file or a folder of them, and the folder to write: local paths or URIs that all
        workers reach. Sub-folders such as ``day=1`` are partition columns, and are kept.
    identity : sequence of str
        Of the model: a run is only resumed with the same.
    overwrite : bool, default=False
        Replace what is in the target, once the new files are complete.
    resume : bool, default=False
        Complete an earlier run that was interrupted.
    finish : callable, optional
        ``finish(folder, scored)`` looks at the complete folder before it takes the target's place.

    Raises
    ------
    StorageError
        ``no_parquet``, ``output_exists``, ``output_is_input``.
    ConfigurationError
        ``plan_differs``.
    DataError
        ``column_not_found``, ``non_numeric_feature``.
    """
    home, files = _listed(source)
    place = Folder.at(target)
    if place.same_place(home) or (Folder.at(source).same_place(home) and home.contains(place)):
        raise StorageError(
            "output_is_input",
            f"The output {place.location!r} is the input, or inside of it.",
            "Choose another folder.",
        )
    if not (place.is_empty() or overwrite or (resume and place.exists(DONE))):
        raise StorageError(
            "output_exists",
            f"{place.location!r} is not empty.",
            "Set overwrite to replace it, or choose another folder.",
        )
    work = place.parent().child(f".{place.name}.next")
    plan = {
        "input": home.location,
        "files": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
        "model": sorted(identity),
        "columns": scorer.plan(),
    }
    if resume and place.exists(DONE):
        done = place.read_json(DONE)
        if done["plan"] != plan:
            raise _another(place)
        found = ScoredFiles(**{**done["scored"], "kept_files": done["scored"]["files"]})
        if finish is not None:
            finish(place, found)
        return found
    _claim(work, plan, resume=resume)
    parts = [
        Part(name, number, max(1, -(-size // _PART_BYTES)))
        for name, size, _ in files
        for number in range(max(1, -(-size // _PART_BYTES)))
    ]
    outputs = [part.output(index) for index, part in enumerate(parts)]
    # Where a listing lags, a file is scored again: to the same name, with the same content.
    there = set(work.walk()) if resume else set()
    missing = [i for i, output in enumerate(outputs) if output not in there]
    sizes = {name: size for name, size, _ in files}
    slots = SessionInfo.of(spark).slots or 1
    groups = _groups(
        missing, [sizes[p.name] / p.parts for p in parts], max(1, slots * _TASKS_PER_SLOT)
    )

    def task(index: int) -> dict[str, Any]:
        rows = 0
        for position in groups[index]:
            part = parts[position]
            rows += score_file(
                scorer,
                home,
                part.name,
                (part.number, part.parts),
                partition_values(part.name),
                work,
                outputs[position],
            )
        return {"rows": rows}

    outcomes = run_tasks(
        spark, range(len(groups)), task, description=f"score {len(missing):,} files"
    )
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    rows = sum(o.result["rows"] for o in outcomes)
    if there:
        rows += _rows_of(work, [o for o in outputs if o in there])
    found = ScoredFiles(
        place.location,
        rows,
        len(outputs),
        len(outputs) - len(missing),
        max((o.peak_rss for o in outcomes), default=0),
    )
    work.write_json(DONE, {"plan": plan, "scored": asdict(found), "files": outputs})
    if finish is not None:
        finish(work, found)
    work.delete_file(_PLAN)
    replace_folder(work, place)
    _logger.info("%s: %s rows in %d files", place.location, f"{rows:,}", len(outputs))
    return found


def partition_values(name: str) -> dict[str, str | None]:
    """Return the partition columns that the folders in a file's name give, as texts."""
    found: dict[str, str | None] = {}
    for folder in name.split("/")[:-1]:
        column, equals, value = folder.partition("=")
        if equals:
            text = unquote(value)
            found[unquote(column)] = None if text == "__HIVE_DEFAULT_PARTITION__" else text
    return found


def _listed(source: str | os.PathLike[str]) -> tuple[Folder, list[list[Any]]]:
    """Return the folder, and name, size and time of each Parquet file below it."""
    home = Folder.at(source)
    if home.info("").is_file:
        name = home.name
        home = home.parent()
        infos = [home.info(name)]
    else:
        infos = home.files(recursive=True)
    root = home.path().rstrip("/") + "/"
    found = []
    for info in infos:
        name = info.path.removeprefix(root)
        hidden = any(part.startswith((".", "_")) for part in name.split("/"))
        if not hidden and (name.endswith((".parquet", ".pq")) or "." not in info.base_name):
            found.append([name, int(info.size), str(info.mtime_ns)])
    if not found:
        raise StorageError(
            "no_parquet",
            f"There is no Parquet file in {home.location!r}.",
            "Files of other formats are scored with transform.",
        )
    return home, sorted(found)


def _claim(work: Folder, plan: dict[str, Any], *, resume: bool) -> None:
    """Make the folder for this plan: a new one, or that of an earlier run."""
    if resume and work.exists(_PLAN):
        if work.read_json(_PLAN) != plan:
            raise _another(work)
        return
    work.delete()
    work.write_json(_PLAN, plan)


def _another(folder: Folder) -> ConfigurationError:
    return ConfigurationError(
        "plan_differs",
        f"The run in {folder.location!r} was of another model, other files or columns.",
        "Start again without resume.",
    )


def _groups(missing: Sequence[int], sizes: Sequence[float], most: int) -> list[list[int]]:
    """Return runs of parts of about equal bytes, at most so many."""
    enough = sum(sizes[i] for i in missing) / most
    groups: list[list[int]] = []
    filled = enough
    for i in missing:
        if not groups or filled >= enough:
            groups.append([])
            filled = 0.0
        groups[-1].append(i)
        filled += sizes[i]
    return groups


def _rows_of(work: Folder, outputs: Sequence[str]) -> int:
    """Return the rows of files, by their footers."""
    import pyarrow.parquet as pq

    total = 0
    for name in outputs:
        with work.opened(name) as stream:
            total += pq.ParquetFile(stream).metadata.num_rows
    return total
