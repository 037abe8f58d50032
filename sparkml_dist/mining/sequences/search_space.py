"""The search space of sequences: prefixes, assigned to parts whose sequences fit a task."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sparkml_dist.mining.sequences.limits import Limits
from sparkml_dist.mining.sequences.pattern_growth import Pattern
from sparkml_dist.mining.sequences.prefix_tasks import (
    CountExtensions,
    GrowPatterns,
    RouteSequences,
)
from sparkml_dist.mining.sequences.sequence_rows import ENCODED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BYTES_PER_EVENT", "Prefix", "SearchSpace", "cut", "frequent_items", "grown", "parts_of"]

#: Bytes of an event while a part is mined, several items included.
BYTES_PER_EVENT = 200


@dataclass(frozen=True)
class Prefix:
    """The number of sequences of a frequent prefix, and of their events."""

    count: int
    events: int


@dataclass(frozen=True)
class SearchSpace:
    """The partition of the search space.

    Attributes
    ----------
    parts : dict of int
        The part that grows each prefix.
    extended : dict of int
        Counts of the prefixes that were replaced by their extensions.
    """

    parts: dict[Pattern, int]
    extended: dict[Pattern, int]

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return max(self.parts.values(), default=-1) + 1


def frequent_items(sequences: DataFrame, least: int) -> tuple[pa.Array, dict[Pattern, Prefix]]:
    """Return the frequent items, most frequent first, and the prefixes of one item.

    Parameters
    ----------
    sequences : pyspark.sql.DataFrame
        With ``events``.
    least : int
        Least number of sequences of a frequent item.
    """
    from pyspark.sql import functions as F

    distinct = F.explode(F.array_distinct(F.flatten("events")))
    rows = (
        sequences.select(distinct.alias("item"), F.size("events").alias("events"))
        .groupBy("item")
        .agg(F.count("*").alias("n"), F.sum("events").alias("events"))
        .where(F.col("n") >= least)
        .orderBy(F.desc("n"), "item")
        .toArrow()
        .combine_chunks()
    )
    counts, events = rows.column("n").to_pylist(), rows.column("events").to_pylist()
    prefixes: dict[Pattern, Prefix] = {
        ((code,),): Prefix(*known) for code, known in enumerate(zip(counts, events, strict=True))
    }
    items = rows.column("item")
    empty = pa.array([], items.type)
    return (pa.concat_arrays(items.chunks) if items.num_chunks else empty), prefixes


def cut(
    encoded: DataFrame,
    prefixes: dict[Pattern, Prefix],
    limits: Limits,
    least: int,
    *,
    budget: int,
    n_parts: int,
) -> SearchSpace:
    """Assign every prefix to a part whose sequences fit a task.

    A prefix whose sequences do not fit is extended by one item, all such prefixes in one job,
    and its extensions take its place.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
    prefixes : dict of Prefix
        Prefixes of one item.
    limits : Limits
    least : int
        Least number of sequences of a frequent pattern.
    budget : int
        Number of events that fit a task.
    n_parts : int
        Number of parts, unless memory needs more.
    """
    from pyspark.sql import functions as F

    row = encoded.agg(F.sum(F.size("sizes"))).first()
    assert row is not None  # an aggregation always gives a row
    total = int(row[0] or 0)
    parts: dict[Pattern, int] = {}
    extended: dict[Pattern, int] = {}
    while prefixes:
        added, large = parts_of(prefixes, total, budget, n_parts)
        first = max(parts.values(), default=-1) + 1
        parts |= {prefix: first + part for prefix, part in added.items()}
        extended |= {prefix: prefixes[prefix].count for prefix in large}
        prefixes = _extensions(encoded, large, limits, least) if large else {}
    return SearchSpace(parts, extended)


def parts_of(
    prefixes: dict[Pattern, Prefix], total: int, budget: int, n_parts: int
) -> tuple[dict[Pattern, int], list[Pattern]]:
    """Assign each prefix that fits to a part, with the work spread evenly.

    Returns
    -------
    parts : dict of int
        Each of at most `budget` events.
    too_large : list of pattern
        Prefixes whose sequences alone exceed the budget.
    """
    if total <= budget:
        budget = sum(p.events for p in prefixes.values())  # all prefixes fit one part
    too_large = [p for p, known in prefixes.items() if known.events > budget]
    fitting = sorted((-known.events, p) for p, known in prefixes.items() if known.events <= budget)
    if not fitting:
        return {}, too_large
    # At half the budget per part on average, some part always has room for the next prefix.
    wanted = max(n_parts, math.ceil(-2 * sum(n for n, _ in fitting) / budget))
    loads = [(0, part) for part in range(min(wanted, len(fitting)))]
    parts: dict[Pattern, int] = {}
    for n, prefix in fitting:
        load, part = heapq.heappop(loads)
        parts[prefix] = part
        heapq.heappush(loads, (load - n, part))
    return parts, too_large


def _extensions(
    encoded: DataFrame, prefixes: list[Pattern], limits: Limits, least: int
) -> dict[Pattern, Prefix]:
    from pyspark.sql import functions as F

    prefixes = [
        p for p in prefixes if limits.max_length is None or sum(map(len, p)) < limits.max_length
    ]
    if not prefixes:
        return {}
    rows = (
        encoded.mapInArrow(
            CountExtensions(tuple(prefixes), limits),
            "prefix int, within boolean, item int, n bigint, events bigint",
        )
        .groupBy("prefix", "within", "item")
        .agg(F.sum("n").alias("n"), F.sum("events").alias("events"))
        .where(F.col("n") >= least)
        .collect()
    )
    found: dict[Pattern, Prefix] = {}
    for row in rows:
        *before, last = prefixes[row["prefix"]]
        ending = [(*last, row["item"])] if row["within"] else [last, (row["item"],)]
        found[(*before, *ending)] = Prefix(row["n"], row["events"])
    return found


def grown(
    encoded: DataFrame, task: GrowPatterns, schema: str, extended: dict[Pattern, int]
) -> DataFrame:
    """Return the patterns of all parts, and the prefixes that were replaced by extensions."""
    from pyspark.sql import functions as F

    n_parts = max(task.parts.values(), default=0) + 1
    route = RouteSequences(task.parts, task.limits, len(task.items))
    routed = encoded.mapInArrow(route, f"{ENCODED}, part int")
    found = routed.repartitionById(n_parts, F.col("part")).mapInArrow(task, schema)
    if extended:
        batch = task.written(list(extended), np.array(list(extended.values())))
        table = pa.Table.from_batches([batch])
        found = found.unionByName(encoded.sparkSession.createDataFrame(table, schema))
    return found
