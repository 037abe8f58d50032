"""Itemsets by trying all of them: the oracle of small problems."""

from __future__ import annotations

from itertools import combinations


def frequent(baskets, min_count):
    """All itemsets in at least `min_count` baskets, with their counts."""
    sets = [frozenset(b) for b in baskets]
    items = sorted(set().union(*sets)) if sets else []
    found = {}
    for size in range(1, len(items) + 1):
        level = {}
        for candidate in combinations(items, size):
            count = sum(1 for b in sets if b.issuperset(candidate))
            if count >= min_count:
                level[candidate] = count
        if not level:
            break
        found |= level
    return found


def closed(all_frequent):
    """Those that no larger itemset of the same support holds."""
    return {
        items: count
        for items, count in all_frequent.items()
        if not any(
            count == other_count and set(items) < set(other)
            for other, other_count in all_frequent.items()
        )
    }


def maximal(all_frequent):
    """Those that no larger frequent itemset holds."""
    return {
        items: count
        for items, count in all_frequent.items()
        if not any(set(items) < set(other) for other in all_frequent)
    }


def wanted(baskets, min_count, target, max_length=None):
    found = frequent(baskets, min_count)
    if target != "frequent":
        found = {"closed": closed, "maximal": maximal}[target](found)
    return {k: v for k, v in found.items() if max_length is None or len(k) <= max_length}
