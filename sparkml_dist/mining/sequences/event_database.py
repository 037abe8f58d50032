"""Sequences as flat arrays of events and items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EventDatabase"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EventDatabase:
    """The encoded sequences of a task.

    Attributes
    ----------
    items : ndarray of int32, shape (n_items,)
        Codes of all events' items, ascending within an event.
    item_start : ndarray of int64, shape (n_events + 1,)
        Position of each event's first item.
    time : ndarray of float64, shape (n_events,)
        Time of each event; strictly ascending within a sequence.
    sequence : ndarray of int64, shape (n_events,)
        Number of each event's sequence, ascending.
    end : ndarray of int64, shape (n_events,)
        Position after the last event of the event's sequence.
    """

    items: npt.NDArray[np.int32]
    item_start: Ints
    time: npt.NDArray[np.float64]
    sequence: Ints
    end: Ints

    @classmethod
    def build(
        cls,
        items: npt.NDArray[np.int32],
        event_sizes: Ints,
        sequence_sizes: Ints,
        time: npt.NDArray[np.float64],
    ) -> EventDatabase:
        """Return the database of sequences with concatenated events and items.

        Parameters
        ----------
        items : ndarray of int32, shape (n_items,)
        event_sizes : ndarray of int64, shape (n_events,)
            Number of items of each event.
        sequence_sizes : ndarray of int64, shape (n_sequences,)
            Number of events of each sequence.
        time : ndarray of float64, shape (n_events,)
        """
        stops = np.cumsum(sequence_sizes)
        return cls(
            items,
            np.concatenate([[0], np.cumsum(event_sizes)]),
            time,
            np.repeat(np.arange(len(sequence_sizes)), sequence_sizes),
            np.repeat(stops, sequence_sizes),
        )

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.time)
