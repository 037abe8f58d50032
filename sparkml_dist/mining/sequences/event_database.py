"""Sequences as arrays: every event's items, every sequence's events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["EventDatabase"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EventDatabase:
    """Encoded sequences of a task.

    Attributes
    ----------
    items : ndarray of int32, shape (n_items,)
        Codes of all events' items, ascending within an event.
    item_start : ndarray of int64, shape (n_events + 1,)
        Where each event's items begin.
    time : ndarray of float64, shape (n_events,)
        When each event happened; strictly ascending within a sequence.
    sequence : ndarray of int64, shape (n_events,)
        To which sequence each event belongs, ascending.
    end : ndarray of int64, shape (n_events,)
        The first event after the event's sequence.
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
        """Lay out sequences whose events and items stand one after another.

        Parameters
        ----------
        items : ndarray of int32, shape (n_items,)
        event_sizes : ndarray of int64, shape (n_events,)
            Items of each event.
        sequence_sizes : ndarray of int64, shape (n_sequences,)
            Events of each sequence.
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
