"""Times of events, and counts of rows at risk and of events, in one silo."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sparkml_dist.errors import DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import enough_rows, least_count
from sparkml_dist.federated.statistics.survival_rows import survival_rows
from sparkml_dist.federated.work import Answer, Declaration, SiloWork

if TYPE_CHECKING:
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["EventCountsWork", "EventTimesWork"]

_MOST_TIMES = 100_000


class EventTimesWork(SiloWork):
    """The distinct times of events in one silo: values of its rows.

    Asked with the facts ``time``, ``event`` and ``minimum``. A silo with fewer rows than the
    minimum refuses, and so does one whose minimum for cells is above 1, since a time may be that of
    one row.
    """

    kind: ClassVar[str] = "event_times"

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the most times."""
        return Declaration({"times": ("f8", (_MOST_TIMES,))})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Read the silo's rows once."""
        if silo.policy.least_count > 1:
            raise DataError(
                "too_few_rows",
                "Times of single events do not leave this silo.",
                "Give a grid of times, or stratify by silo.",
            )
        found, rows = np.zeros(0), 0
        for part in survival_rows(silo, request.facts):
            found = np.union1d(found, part.time[part.event])
            rows += len(part.time)
        enough_rows(rows, least_count(silo, request.facts))
        return Answer(arrays={"times": found})


class EventCountsWork(SiloWork):
    """Rows at risk, and events, at each time and in each group of one silo.

    Asked with the facts ``time``, ``event``, ``group`` (a column of categories, or null) and
    ``minimum``, the array ``times``, and the fact ``round_up`` where the times are a grid. Times at
    which fewer rows than the minimum are at risk in a group are left out, with all after them: the
    rows are taken as censored before; ``suppressed`` counts those times.
    """

    kind: ClassVar[str] = "event_counts"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the counts."""
        k = _groups(request, schema)
        shape = (k, len(request.arrays["times"]))
        return Declaration(
            {
                "at_risk": ("i8", shape),
                "events": ("i8", shape),
                "rows": ("i8", (k,)),
                "suppressed": ("i8", (k,)),
            }
        )

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Count the silo's rows."""
        facts, times = request.facts, request.arrays["times"]
        columns, k, t = AgreedColumns(silo.schema), _groups(request, silo.schema), len(times)
        last, events = np.zeros(k * (t + 1), np.int64), np.zeros(k * t, np.int64)
        for part in survival_rows(silo, facts, times if facts["round_up"] else None):
            if facts["group"] is None:
                group = np.zeros(len(part.time), np.int64)
            else:
                group = columns.codes(part.block, facts["group"])[part.known]
            ends = part.last_at_risk(times)
            has = group >= 0
            last += np.bincount((group * (t + 1) + ends)[has], minlength=len(last))
            hit = part.event_rows(times)
            place = group[hit] * t + part.event_place(times)
            events += np.bincount(place[has[hit]], minlength=len(events))
        # A row is at risk at the first `ends` times.
        table = last.reshape(k, t + 1)
        at_risk = np.cumsum(table[:, ::-1], axis=1)[:, ::-1][:, 1:]
        few = (at_risk > 0) & (at_risk < least_count(silo, facts))
        gone = np.logical_or.accumulate(few, axis=1)
        hidden = (gone & (at_risk > 0)).sum(axis=1)
        kept = np.where(gone, 0, 1)
        return Answer(
            arrays={
                "at_risk": at_risk * kept,
                "events": events.reshape(k, t) * kept,
                "rows": np.where((few & (np.arange(t) == 0)).any(axis=1), 0, table.sum(axis=1)),
                "suppressed": hidden.astype(np.int64),
            }
        )


def _groups(request: Message, schema: FederatedSchema) -> int:
    group = request.facts["group"]
    return 1 if group is None else len(AgreedColumns(schema).categories(group))
