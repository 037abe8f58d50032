"""PrefixSpan on arrays: all extensions of a pattern by one item are found together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.sequences.event_database import EventDatabase
from sparkml_dist.mining.sequences.limits import Limits

__all__ = ["Matches", "Pattern", "grow", "matches_of", "occurrences"]

#: A sequence of elements, each an ascending tuple of item codes.
Pattern = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Matches:
    """The ends of a pattern's matches.

    Attributes
    ----------
    end : ndarray of int64, shape (m,)
        Events that can match the last element, ascending.
    first : ndarray of float64, shape (m,)
        Latest start time of a match that ends there, which leaves most of maxSpan.
    """

    end: npt.NDArray[np.int64]
    first: npt.NDArray[np.float64]


def grow(
    data: EventDatabase, prefix: Pattern, matches: Matches, least: int, limits: Limits
) -> Iterator[tuple[Pattern, int]]:
    """Yield every frequent pattern that extends `prefix`, and its count.

    Pattern growth by prefix (Pei et al. 2004, PrefixSpan): a pattern is extended by an item in its
    last element, greater than the element's other items, or by a new element of one item. The
    prefix of a pattern matches wherever the pattern does, under every limit, so that no frequent
    pattern is missed.

    Parameters
    ----------
    data : EventDatabase
    prefix : tuple of tuple of int
    matches : Matches
        Matches of the prefix.
    least : int
        Least number of sequences of a frequent pattern.
    limits : Limits
    """
    if limits.max_length is not None and sum(map(len, prefix)) >= limits.max_length:
        return
    for pattern, found, count in extensions(data, prefix, matches, least, limits):
        yield pattern, count
        yield from grow(data, pattern, found, least, limits)


def extensions(
    data: EventDatabase, prefix: Pattern, matches: Matches, least: int, limits: Limits
) -> Iterator[tuple[Pattern, Matches, int]]:
    """Yield the frequent extensions by one item, their matches and counts."""
    last = prefix[-1]
    within = _expanded(data, matches.end, matches.first, above=last[-1])
    for item, found, count in _by_item(data, *within, least):
        yield (*prefix[:-1], (*last, item)), found, count
    after = _expanded(data, *_next_events(data, matches, limits))
    for item, found, count in _by_item(data, *after, least):
        yield (*prefix, (item,)), found, count


def occurrences(data: EventDatabase, least: int = 1) -> Iterator[tuple[int, Matches, int]]:
    """Yield every item that is in at least `least` sequences, its matches and count."""
    everywhere = _expanded(data, np.arange(data.n_events), data.time)
    yield from _by_item(data, *everywhere, least)


def matches_of(data: EventDatabase, pattern: Pattern, limits: Limits) -> Matches:
    """Return the matches of any pattern; none where it does not occur."""
    none = Matches(np.empty(0, np.int64), np.empty(0))
    found: Matches | None = None
    for element in pattern:
        if found is None:
            end, first = np.arange(data.n_events), data.time
        else:
            end, first = _next_events(data, found, limits)
        for item in element:
            event, start, items = _expanded(data, end, first)
            held = items == item
            end, first = event[held], start[held]
        found = _latest(end, first)
    return found if found is not None else none


def _expanded(
    data: EventDatabase, event: npt.NDArray, first: npt.NDArray, *, above: int = -1
) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray]:
    """Return (event, first, item) for each item of each event that is larger than `above`."""
    begin = data.item_start[event]
    width = data.item_start[event + 1] - begin
    source, at = _ranges(begin, width)
    items = data.items[at]
    if above >= 0:
        larger = items > above
        source, items = source[larger], items[larger]
    return event[source], first[source], items


def _ranges(begin: npt.NDArray, width: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
    """Return (number of the range, value) for each value of each range."""
    source = np.repeat(np.arange(len(begin)), width)
    offset = np.cumsum(width) - width
    return source, np.arange(len(source)) - offset[source] + begin[source]


def _by_item(
    data: EventDatabase,
    event: npt.NDArray,
    first: npt.NDArray,
    items: npt.NDArray,
    least: int,
) -> Iterator[tuple[int, Matches, int]]:
    """Yield each frequent item with the matches that end with it; `event` is ascending."""
    if len(items) < least:
        return
    order = np.argsort(items, kind="stable")
    items, event, first = items[order], event[order], first[order]
    sequence = data.sequence[event]
    new_item = np.concatenate([[True], items[1:] != items[:-1]])
    starts = np.flatnonzero(new_item)
    new_sequence = new_item.copy()
    new_sequence[1:] |= sequence[1:] != sequence[:-1]
    counts = np.add.reduceat(new_sequence, starts)
    stops = np.append(starts[1:], len(items))
    for at in np.flatnonzero(counts >= least):
        piece = slice(starts[at], stops[at])
        yield int(items[starts[at]]), Matches(event[piece], first[piece]), int(counts[at])


def _next_events(
    data: EventDatabase, matches: Matches, limits: Limits
) -> tuple[npt.NDArray, npt.NDArray]:
    """Return the events that can match a next element, ascending, and their latest start times."""
    end, first = matches.end, matches.first
    if limits.earliest_end_suffices and len(end):
        # All events after a later end are after the earliest one too.
        sequence = data.sequence[end]
        earliest = np.concatenate([[True], sequence[1:] != sequence[:-1]])
        end, first = end[earliest], first[earliest]
    source, event = _ranges(end + 1, data.end[end] - end - 1)
    time = data.time[event]
    gap = time - data.time[end[source]]
    fits = np.ones(len(event), bool)
    if limits.min_gap is not None:
        fits &= gap >= limits.min_gap
    if limits.max_gap is not None:
        fits &= gap <= limits.max_gap
    if limits.max_span is not None:
        fits &= time - first[source] <= limits.max_span
    found = _latest(event[fits], first[source][fits])
    return found.end, found.first


def _latest(event: npt.NDArray, first: npt.NDArray) -> Matches:
    """Return each event once, ascending, with its latest start time."""
    if not len(event):
        return Matches(event, first)
    order = np.lexsort((first, event))
    event, first = event[order], first[order]
    last = np.append(event[1:] != event[:-1], True)
    return Matches(event[last], first[last])
