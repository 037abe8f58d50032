"""The tasks on prefixes: count extensions, route sequences, grow patterns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.errors import DataError
from sparkml_dist.mining.sequences.event_database import EventDatabase
from sparkml_dist.mining.sequences.limits import Limits
from sparkml_dist.mining.sequences.pattern_growth import (
    Matches,
    Pattern,
    extensions,
    grow,
    matches_of,
    occurrences,
)
from sparkml_dist.mining.sequences.sequence_rows import database, pattern_arrays, select_rows

__all__ = ["CountExtensions", "GrowPatterns", "RouteSequences", "too_many_patterns"]

_PATTERNS = 20_000


def too_many_patterns(most: int, where: str = "") -> DataError:
    """Return the error of a search with more than `most` patterns."""
    return DataError(
        "too_many_patterns",
        f"There are more than {most:,} sequential patterns{where}.",
        "Raise minSupport, lower maxLength, set maxGap or maxSpan, or raise maxPatterns to mine "
        "all the same.",
    )


@dataclass(frozen=True)
class CountExtensions:
    """Counts the sequences of each extension of some prefixes.

    Attributes
    ----------
    prefixes : tuple of pattern
    limits : Limits
    """

    prefixes: tuple[Pattern, ...]
    limits: Limits

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield (prefix, within, item, count, events) of a task's encoded sequences."""
        sums: dict[tuple[int, bool, int], list[int]] = {}
        for batch in batches:
            data = database([batch])
            lengths = np.bincount(data.sequence)
            for number, prefix in enumerate(self.prefixes):
                matches = matches_of(data, prefix, self.limits)
                for pattern, found, count in extensions(data, prefix, matches, 1, self.limits):
                    key = (number, len(pattern) == len(prefix), pattern[-1][-1])
                    total = sums.setdefault(key, [0, 0])
                    total[0] += count
                    total[1] += int(lengths[np.unique(data.sequence[found.end])].sum())
        if sums:
            keys, values = list(sums), list(sums.values())
            columns = {
                "prefix": pa.array([k[0] for k in keys], pa.int32()),
                "within": pa.array([k[1] for k in keys]),
                "item": pa.array([k[2] for k in keys], pa.int32()),
                "n": pa.array([v[0] for v in values]),
                "events": pa.array([v[1] for v in values]),
            }
            yield pa.RecordBatch.from_pydict(columns)


@dataclass(frozen=True)
class RouteSequences:
    """Sends each sequence to the parts whose prefixes it contains.

    Attributes
    ----------
    parts : dict of int
        From a prefix to the part that grows it.
    limits : Limits
    n_items : int
    """

    parts: dict[Pattern, int]
    limits: Limits
    n_items: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield encoded sequences, each once for every part it goes to."""
        part_of_item = np.full(self.n_items, -1, np.int64)
        deeper: list[tuple[Pattern, int]] = []
        for prefix, part in self.parts.items():
            if len(prefix) == 1 and len(prefix[0]) == 1:
                part_of_item[prefix[0][0]] = part
            else:
                deeper.append((prefix, part))
        for batch in batches:
            data = database([batch])
            per_event = np.diff(data.item_start)
            goes = part_of_item[data.items]
            rows = np.repeat(data.sequence, per_event)
            pairs = [np.stack([rows[goes >= 0], goes[goes >= 0]], axis=1)]
            for prefix, to in deeper:
                found = np.unique(data.sequence[matches_of(data, prefix, self.limits).end])
                pairs.append(np.stack([found, np.full(len(found), to)], axis=1))
            routed = np.unique(np.concatenate(pairs), axis=0)
            yield from select_rows(batch, routed[:, 0], routed[:, 1])


@dataclass(frozen=True)
class GrowPatterns:
    """Grows the patterns of a part's prefixes from the part's sequences.

    Attributes
    ----------
    parts : dict of int
        From a prefix to the part that grows it.
    limits : Limits
    least : int
        Least number of sequences of a frequent pattern.
    n_sequences : int
    items : pyarrow.Array
        The frequent items, in the order of their codes.
    most : int
        Number of patterns of a part above which its task raises.
    """

    parts: dict[Pattern, int]
    limits: Limits
    least: int
    n_sequences: int
    items: pa.Array
    most: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield patterns, counts and supports of one part, from its sequences."""
        held: list[pa.RecordBatch] = []
        part = -1
        for batch in batches:
            if batch.num_rows:
                part = batch.column(3)[0].as_py()
                held.append(batch.drop_columns(["part"]))
        if not held:
            return
        patterns: list[Pattern] = []
        counts: list[int] = []
        data = database(held)
        done = 0
        for prefix, matches, count in self._prefixes(data, part):
            patterns.append(prefix)
            counts.append(count)
            for pattern, n in grow(data, prefix, matches, self.least, self.limits):
                patterns.append(pattern)
                counts.append(n)
                if done + len(patterns) > self.most:
                    raise too_many_patterns(self.most, " in one of the parts alone")
                if len(patterns) >= _PATTERNS:
                    yield self.written(patterns, np.array(counts))
                    done += len(patterns)
                    patterns, counts = [], []
        if patterns:
            yield self.written(patterns, np.array(counts))

    def _prefixes(self, data: EventDatabase, part: int) -> Iterator[tuple[Pattern, Matches, int]]:
        mine = {p for p, to in self.parts.items() if to == part}
        singles = {p for p in mine if len(p) == 1 and len(p[0]) == 1}
        if singles:
            for item, matches, count in occurrences(data, self.least):
                if ((item,),) in singles:
                    yield ((item,),), matches, count
        for prefix in sorted(mine - singles):
            matches = matches_of(data, prefix, self.limits)
            yield prefix, matches, len(np.unique(data.sequence[matches.end]))

    def written(self, patterns: list[Pattern], counts: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Return patterns as rows of the result."""
        return pa.RecordBatch.from_arrays(
            [
                pattern_arrays(patterns, self.items),
                pa.array(counts),
                pa.array(counts / self.n_sequences),
            ],
            ["sequence", "count", "support"],
        )
