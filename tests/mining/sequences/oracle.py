"""Sequential patterns by trying every choice of events and items."""

from __future__ import annotations

import itertools
from collections import Counter


def frequent_sequences(sequences, least: int, limits) -> dict[tuple, int]:
    """Patterns of at least `least` of the sequences of (time, items), with their counts."""
    counts: Counter = Counter()
    for sequence in sequences:
        counts.update(patterns_of(sequence, limits))
    return {pattern: n for pattern, n in counts.items() if n >= least}


def patterns_of(sequence, limits) -> set[tuple]:
    found = set()
    for size in range(1, len(sequence) + 1):
        for chosen in itertools.combinations(sequence, size):
            times = [time for time, _ in chosen]
            gaps = [b - a for a, b in itertools.pairwise(times)]
            if limits.min_gap is not None and any(g < limits.min_gap for g in gaps):
                continue
            if limits.max_gap is not None and any(g > limits.max_gap for g in gaps):
                continue
            if limits.max_span is not None and times[-1] - times[0] > limits.max_span:
                continue
            for pattern in itertools.product(*[subsets(items) for _, items in chosen]):
                if limits.max_length is None or sum(map(len, pattern)) <= limits.max_length:
                    found.add(pattern)
    return found


def subsets(items) -> list[tuple]:
    ordered = sorted(items)
    return [s for n in range(1, len(ordered) + 1) for s in itertools.combinations(ordered, n)]


def contains(larger: tuple, smaller: tuple) -> bool:
    """Whether the elements of one pattern lie, in order, within elements of another."""
    at = 0
    for element in larger:
        if at < len(smaller) and set(smaller[at]) <= set(element):
            at += 1
    return at == len(smaller)


def closed_only(patterns: dict[tuple, int]) -> dict[tuple, int]:
    return {
        p: n
        for p, n in patterns.items()
        if not any(m == n and q != p and contains(q, p) for q, m in patterns.items())
    }
