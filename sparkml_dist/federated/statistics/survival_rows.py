"""Times and events of a silo's rows, on a grid of times or as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns

if TYPE_CHECKING:
    from sparkml_dist.federated.silo import Silo

__all__ = ["SurvivalRows", "check_survival", "checked_grid", "survival_rows"]

Array = npt.NDArray[np.float64]


class SurvivalRows(NamedTuple):
    """Rows of a block that have a time and an event.

    Attributes
    ----------
    block : Block
        All rows.
    known : ndarray of bool, shape (rows of the block,)
    time : ndarray of float64, shape (n,)
        Of the known rows.
    event : ndarray of bool, shape (n,)
        Whether the time is that of an event; otherwise the row is censored there.
    """

    block: Block
    known: npt.NDArray[np.bool_]
    time: Array
    event: npt.NDArray[np.bool_]

    def last_at_risk(self, times: Array) -> npt.NDArray[np.int64]:
        """Return for each row the number of times at which it is at risk, the first ones."""
        return np.searchsorted(times, self.time, side="right")

    def event_place(self, times: Array) -> npt.NDArray[np.int64]:
        """Return the position of the time of each row with an event before the end of the times.

        Its length is that of ``event_rows(times)``.
        """
        return np.searchsorted(times, self.time[self.event_rows(times)], side="left")

    def event_rows(self, times: Array) -> npt.NDArray[np.bool_]:
        """Tell which rows have an event at one of the times."""
        place = np.minimum(np.searchsorted(times, self.time, side="left"), max(len(times) - 1, 0))
        at = times[place] == self.time if len(times) else np.zeros(len(self.time), bool)
        return self.event & at


def check_survival(columns: AgreedColumns, facts: Mapping[str, Any]) -> None:
    """Raise `DataError` unless the columns ``time`` and ``event`` hold numbers."""
    columns.check_numbers(facts["time"], facts["event"])


def checked_grid(times: Sequence[float] | None) -> Array | None:
    """Return a grid of times; raise `ConfigurationError` unless they ascend."""
    if times is None:
        return None
    found = np.asarray(list(times), np.float64)
    if found.ndim != 1 or not len(found) or not (np.isfinite(found).all()):
        raise ConfigurationError("invalid_param", f"times must be numbers. Got {times!r}.")
    if not (np.diff(found) > 0).all():
        raise ConfigurationError("invalid_param", f"times must ascend. Got {times!r}.")
    return found


def survival_rows(
    silo: Silo, facts: Mapping[str, Any], grid: Array | None = None
) -> Iterator[SurvivalRows]:
    """Yield the rows of each block of a silo.

    Parameters
    ----------
    silo : Silo
    facts : mapping
        ``time`` and ``event``, names of columns.
    grid : ndarray, optional
        Times are rounded up to it; a row beyond its end is at risk throughout, without an event.

    Raises
    ------
    DataError
        ``bad_times`` for a time below 0; ``target_not_of_family`` for an event other than 0 or 1.
    """
    columns = AgreedColumns(silo.schema)
    check_survival(columns, facts)
    for block in silo.blocks():
        both = columns.numbers_of(block, [facts["time"], facts["event"]])
        known = np.asarray(~np.isnan(both).any(axis=1))
        time, event = both[known].T
        if (time < 0).any():
            raise DataError(
                "bad_times", f"The column {facts['time']!r} has times below 0.", "Correct them."
            )
        if not np.isin(event, (0.0, 1.0)).all():
            raise DataError(
                "target_not_of_family",
                f"The column {facts['event']!r} has other values than 0 (censored) and 1 (event).",
                "Code events as 1, and censored rows as 0.",
            )
        if grid is not None:
            # Beyond the grid a row is at risk at all of its times.
            place = np.searchsorted(grid, time, side="left")
            beyond = place == len(grid)
            time = np.where(beyond, np.inf, grid[np.minimum(place, len(grid) - 1)])
            event = np.where(beyond, 0.0, event)
        yield SurvivalRows(block, known, time, np.asarray(event == 1.0))
