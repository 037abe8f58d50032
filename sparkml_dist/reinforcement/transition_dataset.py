"""Logged transitions in shards on disk, cut by episode."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparkml_dist.dataset.manifest import ShardInfo
from sparkml_dist.dataset.partitioned import PartitionedDataset, open_partitioned
from sparkml_dist.errors import StorageError
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.persistence.checksums import check_document, reading_fields, with_checksum
from sparkml_dist.persistence.fields import mapping, text
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_schema import TransitionSchema

__all__ = ["TransitionDataset", "open_transitions"]

TRANSITIONS = "transitions.json"
FORMAT = "sparkml_dist.transitions"
PROTOCOL = 1


@dataclass(frozen=True)
class TransitionDataset(ShowsItself):
    """Logged transitions in shards, cut by episode; small enough to be pickled.

    Attributes
    ----------
    data : PartitionedDataset
        The shards. Its label is the reward, its key the episode, and its features are those of
        `TransitionSchema.names`.
    schema : TransitionSchema
    summary : dict
        Episodes, lengths, returns, coverage of actions, alerts; see `Transitions`.
    """

    data: PartitionedDataset
    schema: TransitionSchema
    summary: dict[str, Any]

    @property
    def folder(self) -> Folder:
        """Folder of the manifest."""
        return self.data.folder

    @property
    def location(self) -> str:
        """Path or URI of the folder."""
        return self.data.location

    @property
    def shards(self) -> Sequence[ShardInfo]:
        """The shards, in order."""
        return self.data.shards

    @property
    def actions(self) -> tuple[Any, ...]:
        """The list of actions, sorted; empty where they are numbers."""
        return self.schema.actions

    @property
    def n_episodes(self) -> int:
        """Number of episodes."""
        return int(self.summary["episodes"])

    @property
    def n_rows(self) -> int:
        """Number of actions that were taken."""
        return self.data.n_rows

    @property
    def alerts(self) -> list[str]:
        """What is suspicious about the log."""
        return list(self.summary["alerts"])

    def read(
        self, shard: int, row_groups: Sequence[int] | None = None, *, verify: bool = True
    ) -> TransitionBlock:
        """Read a shard, or some of its row groups, into memory.

        Raises
        ------
        StorageError
            A shard is missing, truncated or altered.
        """
        block = self.data.read_block(shard, row_groups, dtype=np.float64, verify=verify)
        return TransitionBlock.of(block, self.schema)

    def blocks(self, shard: int, *, whole: bool = False) -> Iterator[TransitionBlock]:
        """Yield the rows of a shard, a row group at a time.

        Parameters
        ----------
        shard : int
        whole : bool, default=False
            Whether a block ends where an episode ends. The longest episode must then fit memory.
        """
        held: list[TransitionBlock] = []
        for group in range(len(self.shards[shard].row_groups)):
            block = self.read(shard, [group])
            if not whole:
                yield block
                continue
            begins = np.flatnonzero(block.episode != block.episode[-1])
            split = int(begins[-1]) + 1 if len(begins) else 0
            if held and (split or held[-1].episode[-1] != block.episode[0]):
                if held[-1].episode[-1] != block.episode[0]:
                    yield TransitionBlock.concat(held)
                    held = []
                if split:
                    yield TransitionBlock.concat([*held, block.take(slice(0, split))])
                    held = []
            elif split:
                yield block.take(slice(0, split))
            held.append(block.take(slice(split, None)))
        if held:
            yield TransitionBlock.concat(held)

    def write(self, folder: Folder) -> None:
        """Write what is known besides the shards, into their folder."""
        value = {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "content_sha256": self.data.manifest.content_sha256,
            "transitions": self.schema.to_dict(),
            "summary": self.summary,
        }
        folder.write_json(TRANSITIONS, with_checksum(value))

    def _shown(self) -> Iterator[Row]:
        summary = self.summary
        yield Row("episodes", f"{self.n_episodes:,}")
        yield Row("rows", f"{self.n_rows:,}")
        for name in ("length", "return"):
            span = summary[name]
            yield Row(name, f"{span['min']:,.6g} to {span['max']:,.6g}, mean {span['mean']:,.6g}")
        yield Row("state", code=list(self.schema.state.feature_names[:12]))
        if summary["actions"]:
            shares = [(str(a), int(n)) for a, n in summary["actions"][:12]]
            yield Row("actions", shares=shares)
        for alert in self.alerts:
            yield Row("alert", alert)
        yield Row("folder", code=[self.location])

    def __repr__(self) -> str:
        return (
            f"TransitionDataset({self.location!r}: {self.n_episodes:,} episodes, {self.n_rows:,} "
            f"rows, {self.schema.n_state} state features, {len(self.shards)} shards)"
        )


def open_transitions(path: str | os.PathLike[str]) -> TransitionDataset:
    """Open the transitions that `Transitions` has written to a folder.

    Parameters
    ----------
    path : str or path-like
        Local path or URI.

    Returns
    -------
    TransitionDataset

    Raises
    ------
    StorageError
        ``not_a_dataset``, or the manifest is damaged, altered or of a newer protocol.
    """
    data = open_partitioned(path)
    folder = data.folder
    if not folder.exists(TRANSITIONS):
        raise StorageError(
            "not_a_dataset",
            f"The data set in {folder.location!r} has rows, but no transitions.",
            "Make it with Transitions(df, path, …).",
        )
    value = folder.read_json(TRANSITIONS)
    where = folder.uri(TRANSITIONS)
    check_document(value, FORMAT, PROTOCOL, where)
    with reading_fields(where, "Write the transitions again."):
        if text(value["content_sha256"], "content_sha256") != data.manifest.content_sha256:
            raise ValueError("it belongs to other shards")
        schema = TransitionSchema.from_dict(value["transitions"])
        summary = mapping(value["summary"], "summary")
        if list(schema.names) != data.feature_names:
            raise ValueError("its columns are not those of the shards")
        if {"episodes", "alerts", "actions", "length", "return"} - set(summary):
            raise ValueError("its summary is incomplete")
    return TransitionDataset(data, schema, summary)


def renumbered(shards: Sequence[ShardInfo]) -> Sequence[ShardInfo]:
    """Return the shards that have rows, numbered in their order."""
    kept = [s for s in shards if s.rows]
    return tuple(replace(s, index=i) for i, s in enumerate(kept))
