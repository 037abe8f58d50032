"""Oracles of pattern mining: itemsets and rules in plain Python, and readers of basket files."""

from __future__ import annotations

import itertools
import math
from pathlib import Path


def frequent_itemsets(baskets, minimum: int) -> dict[tuple, int]:
    """All itemsets in at least `minimum` baskets; baskets are bits of Python's integers."""
    bits: dict = {}
    for number, basket in enumerate(baskets):
        for item in set(basket):
            bits[item] = bits.get(item, 0) | (1 << number)
    singles = [(item, b) for item, b in sorted(bits.items()) if b.bit_count() >= minimum]
    found: dict[tuple, int] = {}

    def grow(prefix, siblings):
        for at, (item, b) in enumerate(siblings):
            found[(*prefix, item)] = b.bit_count()
            wider = [(other, b & c) for other, c in siblings[at + 1 :]]
            grow((*prefix, item), [(o, c) for o, c in wider if c.bit_count() >= minimum])

    grow((), singles)
    return found


def all_rules(itemsets: dict[tuple, int], confidence: float) -> dict[tuple, tuple[int, int, int]]:
    """(antecedent, consequent) → their counts and that of both, by trying every split."""
    rules = {}
    for whole, both in itemsets.items():
        for size in range(1, len(whole)):
            for consequent in itertools.combinations(whole, size):
                antecedent = tuple(i for i in whole if i not in consequent)
                a = itemsets[antecedent]
                if both / a >= confidence:
                    rules[antecedent, consequent] = (a, itemsets[consequent], both)
    return rules


def least_count(support: float, n: int) -> int:
    return max(1, math.ceil(support * n - 1e-9))


def read_dat(path: Path) -> list[list[int]]:
    return [[int(item) for item in line.split()] for line in path.read_text().splitlines()]


def read_mushroom(folder: Path) -> list[list[int]]:
    """Both parts of agaricus, with the label as an item beyond the features."""
    baskets = []
    for part in ("train", "test"):
        for line in (folder / f"agaricus.{part}.svm").read_text().splitlines():
            label, *features = line.split()
            baskets.append([1000 + int(float(label)), *(int(f.split(":")[0]) for f in features)])
    return baskets


def itemset_frame(spark, itemsets: dict[tuple, int], n: int, kind: str = "int"):
    rows = [(list(items), count, count / n) for items, count in itemsets.items()]
    return spark.createDataFrame(rows, f"items array<{kind}>, count long, support double")
