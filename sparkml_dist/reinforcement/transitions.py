"""Makes transitions of a log: one shuffle, by episode."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import sparkml_dist.errors as errors
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.equal_rows import are_bunched, separated
from sparkml_dist.dataset.feature_positions import all_positions
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import plan_sizing
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.errors import ConfigurationError, ResourceError, SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.saved_folder import check_replaceable
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.episode_counts import EpisodeCounts, summarize
from sparkml_dist.reinforcement.episode_walk import EPISODE, EpisodeWalk, Gaps
from sparkml_dist.reinforcement.log_columns import LogColumns
from sparkml_dist.reinforcement.log_reader import LogReader
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset, renumbered
from sparkml_dist.reinforcement.transition_schema import TransitionSchema
from sparkml_dist.sizes import parse_size
from sparkml_dist.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Transitions"]

_logger = logging.getLogger(__name__)
_SHARD_BITS = 31


def Transitions(  # noqa: N802 - it is named as what it makes
    df: DataFrame,
    path: str | os.PathLike[str] | None = None,
    *,
    state: str | Sequence[str],
    action: str | Sequence[str],
    reward: str,
    episode: str | Sequence[str] | None = None,
    step: str | None = None,
    terminated: str | None = None,
    truncated: str | None = None,
    nextState: str | Sequence[str] | None = None,
    behaviorProb: str | None = None,
    discount: str | None = None,
    weight: str | None = None,
    availableActions: str | None = None,
    actions: Sequence[Any] | None = None,
    continuous: bool = False,
    gaps: Gaps = "error",
    shards: int | None = None,
    memory_per_task: int | str | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> TransitionDataset:
    """Make transitions (state, action, reward, next state, next action) of a log.

    A row of the log is an action: the state in which it was taken, the action, its reward, and
    whether the episode ended with it. The next state is that of the next row of the episode. One
    shuffle brings the rows of an episode together, in their order; a hash of the episode decides
    its shard and its place there, so that the shards do not depend on the partitions of `df`. Where
    rows are transitions of their own, the content decides; of many equal rows, each copy by itself.

    An episode that was cut off is not one that ended: after the last row of a truncated episode
    something follows whose value is unknown, and not 0. The next state of such a row is known
    only where `nextState` or a last row without an action has it; otherwise the row counts in
    returns, and no value is learnt of it.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The log, Classic or Connect. The last row of an episode may hold the final state only, with
        a null action.
    path : str or path-like, optional
        Folder for the transitions: a local path or URI that the driver and all workers can read. A
        temporary one when not given.
    state : str or sequence of str
        Columns of the state, in this order: numbers, booleans, strings (as categories), arrays of
        numbers, ML vectors.
    action : str or sequence of str
        The action: numbers, strings or booleans, of a list; or columns of numbers, with
        `continuous`.
    reward : str
        Reward of the row's own action.
    episode : str or sequence of str, optional
        Columns that identify an episode. Without them, and `step`, rows are transitions of their
        own, and `nextState` is needed.
    step : str, optional
        Order of the rows in an episode: numbers, times or dates.
    terminated, truncated : str, optional
        Whether the episode ended with the row's action by itself, or was cut off there: booleans,
        or 0 and 1; null is false. A row that has both is terminated.
    nextState : str or sequence of str, optional
        Columns of the next state, in the order of `state`.
    behaviorProb : str, optional
        Probability with which the logged action was taken, in (0, 1].
    discount : str, optional
        Discount of what follows the row, in [0, 1], in place of one for all rows.
    weight : str, optional
        Weight of a row, >= 0.
    availableActions : str, optional
        Array of the actions that could be taken; null allows all.
    actions : sequence, optional
        The list of actions; by default those of the log.
    continuous : bool, default=False
        Whether actions are numbers.
    gaps : {"error", "cut", "ignore"}, default="error"
        What a missing step means where steps are whole numbers: an error; that the episode is cut
        off before it; nothing.
    shards : int, optional
        Number of shards.
    memory_per_task : int or str, optional
        Choose the number of shards so that a task that learns from one needs at most this memory.
    seed : int, default=0
        Seed of the hash of episodes.
    overwrite : bool, default=False
        Replace what is in `path`, once the new transitions are complete.

    Returns
    -------
    TransitionDataset
        With a summary: episodes, lengths, returns, coverage of actions, alerts.

    Raises
    ------
    DataError
        ``episode_null``, ``step_null``, ``step_twice``, ``step_gap``, ``rows_after_end``,
        ``action_null``, ``unknown_action``, ``too_many_actions``, ``reward_not_finite``,
        ``probability_range``, ``discount_range``, ``infinite_feature``, ``column_not_found``,
        ``column_type``; those of `partition` for states and weights.
    ConfigurationError, ResourceError, StorageError
        As for `partition`. Nothing is left behind.

    Examples
    --------
    >>> log = spark.createDataFrame(
    ...     [(0, 0, 5.0, "go", 0.0, False), (0, 1, 6.0, "stop", 1.0, True)],
    ...     "run int, t int, heat double, act string, gain double, over boolean",
    ... )
    >>> made = Transitions(log, episode="run", step="t", state=["heat"], action="act",
    ...                    reward="gain", terminated="over")
    >>> made.n_episodes, made.actions, made.summary["return"]["mean"]
    (1, ('go', 'stop'), 1.0)
    """
    columns = LogColumns(
        state=_names(state),
        action=_names(action),
        reward=reward,
        episode=_names(episode),
        step=step,
        terminated=terminated,
        truncated=truncated,
        next_state=_names(nextState),
        behavior_prob=behaviorProb,
        discount=discount,
        weight=weight,
        available=availableActions,
        continuous=continuous,
    )
    if gaps not in ("error", "cut", "ignore"):
        raise ConfigurationError(
            "invalid_param", f"gaps must be 'error', 'cut' or 'ignore'. Got {gaps!r}."
        )
    columns.check(df)
    spark: SparkSession = df.sparkSession
    if path is not None:
        folder = Folder.at(path)
        check_replaceable(folder, "dataset", overwrite=overwrite)
    check_workers(spark, memory=None if memory_per_task is None else parse_size(memory_per_task))
    if path is None:
        folder = temporary_folder(spark, "transitions", "path")
    schema, rows, row_bytes = columns.survey(df, actions)
    sizing = plan_sizing(rows, row_bytes / 2, shards=shards, memory_per_task=memory_per_task)
    existed = folder.exists()
    home = folder.child(f"shards-{uuid.uuid4().hex[:8]}")
    label = Label(reward, "target")
    writer = ShardWriter(
        home, schema.shard_schema, label, weight is not None, max(1, sizing.row_group_rows // 2)
    )
    task = _WriteTask(writer, schema, gaps, columns.whole_steps(df), bool(columns.episode))
    try:
        with job_description(spark, f"sparkml_dist: write {sizing.shards} shards of transitions"):
            keyed = df.select(*columns.carried(df, schema, seed))
            notes = _write(keyed, df, columns, task, sizing.shards, seed)
            if _bunched(notes):
                _logger.info("the log has many equal rows: each becomes an episode of its own")
                home.delete()
                keyed = separated(keyed, "_episode")
                notes = _write(keyed, df, columns, task, sizing.shards, seed)
        found = tuple(ShardInfo.from_dict(n["shard"]) for n in notes)
        name = home.location.rpartition("/")[2]
        kept = renumbered([replace(s, file=f"{name}/{s.file}") for s in found])
        manifest = Manifest(
            schema=schema.shard_schema,
            label=label,
            weight=weight,
            key=columns.episode,
            seed=seed,
            shards=kept,
            missing_features=all_positions(n["missing_features"] for n in notes),
            library_version=__version__,
        )
        summary = summarize(
            [n["counts"] for n in notes], schema.actions, schema.state.feature_names, reward
        )
        made = TransitionDataset(PartitionedDataset(folder, manifest), schema, summary)
        made.write(folder)
        manifest.write(folder)
    except BaseException:
        home.delete()
        if not existed:
            folder.delete()
        raise
    for old in {f.split("/")[0] for f in folder.walk() if f.startswith("shards-")} - {name}:
        folder.child(old).delete()
    for alert in made.alerts:
        _logger.warning("%s: %s", folder.location, alert)
    return made


@dataclass(frozen=True)
class _WriteTask:
    """Writes one shard from the sorted rows of its episodes."""

    writer: ShardWriter
    schema: TransitionSchema
    gaps: Gaps
    whole_steps: bool
    chained: bool

    def __call__(self, index: int, batches: Iterator[pa.RecordBatch]) -> dict[str, Any]:
        counts = EpisodeCounts(self.schema.n_actions, self.schema.n_state)
        walk = EpisodeWalk(
            gaps=self.gaps, whole_steps=self.whole_steps, chained=self.chained, counts=counts
        )
        equal = _EqualRows()
        blocks = _regrouped(self._transitions(batches, walk, equal), self.writer.row_group_rows)
        note = self.writer.write_blocks(index, (b.to_block(self.schema) for b in blocks))
        found = (0, 1) if self.chained else (equal.copies, equal.longest)
        return {**note, "counts": counts.to_dict(), "copies": found[0], "longest": found[1]}

    def _transitions(
        self, batches: Iterator[pa.RecordBatch], walk: EpisodeWalk, equal: _EqualRows
    ) -> Iterator[TransitionBlock]:
        reader = LogReader(self.schema)
        for batch in batches:
            if batch.num_rows:
                rows = reader.rows(batch)
                equal.add(rows.episode)
                yield from walk.add(rows)
        yield from walk.end()


class _EqualRows:
    """Counts equal keys among sorted ones."""

    def __init__(self) -> None:
        self.copies, self.longest = 0, 1
        self._last: int | None = None
        self._run = 0

    def add(self, keys: npt.NDArray[np.int64]) -> None:
        """Count a batch."""
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        runs = np.diff(np.append(starts, len(keys)))
        self.copies += len(keys) - len(runs)
        if self._last == keys[0]:
            self.copies += 1
            runs[0] += self._run
        self.longest = max(self.longest, int(runs.max()))
        self._last, self._run = int(keys[-1]), int(runs[-1])


def _regrouped(blocks: Iterator[TransitionBlock], rows: int) -> Iterator[TransitionBlock]:
    """Slice and join blocks so that each has `rows` rows, the last one fewer."""
    held: list[TransitionBlock] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count < rows:
            continue
        joined = TransitionBlock.concat(held)
        for start in range(0, count - rows + 1, rows):
            yield joined.take(slice(start, start + rows))
        rest = count % rows
        held, count = ([joined.take(slice(count - rest, None))] if rest else []), rest
    if held:
        yield TransitionBlock.concat(held)


def _bunched(notes: list[dict[str, Any]]) -> bool:
    rows = sum(n["shard"]["rows"] for n in notes)
    return are_bunched(
        rows, sum(n["copies"] for n in notes), max((n["longest"] for n in notes), default=1)
    )


def _write(
    keyed: DataFrame, df: DataFrame, columns: LogColumns, task: _WriteTask, shards: int, seed: int
) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        try:
            note = task(context.partitionId(), batches)
        except SparkMLDistError as error:
            # A result row, not an exception, because a retry would not help.
            note = {"error": [type(error).__name__, error.code, error.message, error.hint]}
        yield pa.RecordBatch.from_pydict({"note": [json.dumps(note)]})

    # The sign bit is flipped: shards are spans of the order in which their rows are sorted, so that
    # the order of episodes over all shards does not depend on the number of shards.
    unsigned = F.col("_episode").bitwiseXOR(F.lit(-(2**63)).cast("long"))
    high = F.shiftrightunsigned(unsigned, 64 - _SHARD_BITS)
    shard = F.shiftright(high * F.lit(shards).cast("long"), _SHARD_BITS).cast("int")
    placed = keyed.repartitionById(shards, shard).sortWithinPartitions("_episode", "_step")
    notes = [json.loads(r["note"]) for r in placed.mapInArrow(write, "note string").collect()]
    for note in notes:
        if "error" in note:
            raise _named(df, columns, seed, *note["error"])
    if sorted(n["shard"]["index"] for n in notes) != list(range(shards)):
        raise ResourceError(
            "shards_lost",
            f"Spark ran {len(notes)} tasks for {shards} shards.",
            "Is a rule of adaptive execution coalescing partitions? See spark-defaults.conf.",
        )
    return sorted(notes, key=lambda n: n["shard"]["index"])


def _named(
    df: DataFrame, columns: LogColumns, seed: int, kind: str, code: str, message: str, hint: str
) -> SparkMLDistError:
    """Return the error of a task, with the episode's own name in place of its hash."""
    if message.startswith(EPISODE):
        key, _, what = message.removeprefix(EPISODE).partition("\0")
        subject = "A row of the log"
        if columns.episode:
            subject = f"The episode {_episode_of(df, columns, seed, int(key))}"
        message = f"{subject} {what}"
    error: SparkMLDistError = getattr(errors, kind)(code, message, hint)
    return error


def _episode_of(df: DataFrame, columns: LogColumns, seed: int, key: int) -> str:
    from pyspark.sql import functions as F

    names = [
        named_column(n).cast("string").alias(f"name{i}") for i, n in enumerate(columns.episode)
    ]
    row = (
        df.select(columns.episode_key(df, seed).alias("_key"), *names)
        .where(F.col("_key") == key)
        .first()
    )
    return ", ".join(repr(v) for v in row[1:]) if row else f"with the hash {key}"


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
