"""Counts of families: exact, however rows are spread over blocks and cells over passes."""

from itertools import combinations

import numpy as np
import pytest

from sparkml_dist.errors import DataError
from sparkml_dist.graphical.counting import block_counts
from sparkml_dist.graphical.counting.block_counts import Target, count_triples
from sparkml_dist.graphical.counting.chosen_rows import BootstrapRows, CompleteRows, drawn
from sparkml_dist.graphical.counting.coded_rows import LocalRows
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.variables import Variable, Variables


def _rows(seed=0, n=500, cards=(2, 3, 1, 4, 3), missing=0.0, blocks=1):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, c, n) for c in cards], axis=1)
    codes[rng.random(codes.shape) < missing] = -1
    variables = Variables(
        tuple(Variable(f"v{i}", tuple(map(str, range(c)))) for i, c in enumerate(cards))
    )
    return LocalRows(variables, codes, blocks)


def _table(rows, family):
    codes = rows.codes[:, family]
    found = np.zeros([int(rows.variables.cards[v]) for v in family], np.int64)
    np.add.at(found, tuple(codes[(codes >= 0).all(axis=1)].T), 1)
    return found


def test_rows_in_frequent_states_follow_from_smaller_bases():
    """Bases of all sizes, of a variable with missing values too, against each cell by itself."""
    rows = _rows(2, cards=(2, 3, 4, 2, 3), blocks=3)
    rows.codes = np.where(np.random.default_rng(3).random(rows.codes.shape) < 0.5, 1, rows.codes)
    rows.codes[::9, 2] = -1
    counts = FamilyCounts(rows)
    counts.count_all(2)
    bases = [b for k in (2, 3, 4) for b in combinations(range(5), k)]
    counts.count(Target(b) for b in bases[::-1])
    assert counts.passes == 2
    offsets = rows.variables.offsets
    for base in bases:
        for other in set(range(5)) - set(base):
            table = _table(rows, [*base, other])
            found = counts.base(base)[:, offsets[other] : offsets[other + 1]]
            assert (found.reshape(table.shape) == table).all()


@pytest.mark.parametrize("multiplied", [True, False])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_all_families_of_three_come_from_one_pass(multiplied, missing, monkeypatch):
    if not multiplied:
        monkeypatch.setattr(block_counts, "_STATES_TO_MULTIPLY", 0)
    rows = _rows(missing=missing, blocks=3)
    counts = FamilyCounts(rows)
    counts.count_all(3)
    for size in (1, 2, 3):
        for family in combinations(range(5), size):
            assert (counts.table(family) == _table(rows, list(family))).all()
    assert counts.passes == rows.passes == 1
    assert (counts.missing == (rows.codes < 0).sum(axis=0)).all()


@pytest.mark.parametrize("multiplied", [True, False])
def test_later_families_come_in_batches(multiplied, monkeypatch):
    if not multiplied:
        monkeypatch.setattr(block_counts, "_STATES_TO_MULTIPLY", 0)
    rows = _rows(missing=0.1, blocks=2)
    counts = FamilyCounts(rows)
    counts.count_all(2)
    counts.count([Target((0, 1, 3)), Target((1, 3, 4)), Target((0, 1, 3))])
    tables = counts.tables([(4, 3, 1, 0), (0, 1, 2, 3, 4), (1, 3)])
    for table, family in zip(tables, ([0, 1, 3, 4], [0, 1, 2, 3, 4], [1, 3]), strict=True):
        assert (table == _table(rows, family)).all()
    assert counts.passes == 3


def test_a_pass_counts_no_more_cells_than_allowed():
    rows = _rows()
    counts = FamilyCounts(rows, most_cells=200)  # the triples of 13 states have 2,197
    counts.count_all(3)
    assert counts.passes == 1 and not counts.knows((0, 1))
    counts.count([Target((0, 1)), Target((1, 3)), Target((0, 3))])  # 78 + 156 + 104 cells
    assert counts.passes == 3
    assert (counts.table((0, 1, 3)) == _table(rows, [0, 1, 3])).all()
    before = rows.passes
    with pytest.raises(DataError, match=r"v1 \(3\) × v3 \(4\) × v4 \(3\).*468 cells") as caught:
        counts.count([Target((1, 3, 4))])
    assert caught.value.code == "too_many_cells" and rows.passes == before
    with pytest.raises(DataError, match="169 cells"):
        FamilyCounts(rows, most_cells=100).count_all(2)
    assert rows.passes == before


def test_no_rows_are_refused():
    with pytest.raises(DataError, match="no rows"):
        FamilyCounts(_rows(n=0)).count_all(3)


def test_large_counts_are_exact():
    """More rows than float32 tells apart, as sums of blocks."""
    part = count_triples(np.zeros((70_000, 3), np.int16), np.array([1, 2, 2]))
    assert part["pairs"][0, 0] == 70_000 and part["triples"].max() == 70_000


def test_complete_and_bootstrap_rows():
    rows = _rows(missing=0.2, n=3000)
    counts = FamilyCounts(CompleteRows(rows))
    counts.count_all(3)
    complete = rows.codes[(rows.codes >= 0).all(axis=1)]
    assert counts.n_rows == len(complete) and not counts.missing.any()
    first, again, other = (drawn(rows.codes, 1, r) for r in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    # Poisson with mean and variance 1: standard errors are .018 and .031.
    assert abs(first.mean() - 1) < 0.06 and abs(first.var() - 1) < 0.12
    same = np.zeros((3000, 5), np.int16)  # equal rows are drawn on their own
    assert abs(drawn(same, 1, 0).mean() - 1) < 0.06
    counts = FamilyCounts(BootstrapRows(rows, 1, 0))
    counts.count_all(2)
    assert counts.n_rows == first.sum()
