"""Small networks, rows in memory, and the shared data, for the tests of this folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from sparkml_dist.graphical.counting.coded_rows import LocalRows
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.formats.bif import from_bif
from sparkml_dist.graphical.graph import parents_of
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.variables import Variable, Variables

#: The graphs that the shared data was drawn from, except alarm's.
TRUE_GRAPHS = {
    "learning-test.csv": "[A][C][F][B|A][D|A:C][E|B:F]",
    "asia.csv.gz": "[A][S][T|A][L|S][B|S][D|B:E][E|T:L][X|E]",
}


def rows_of(frame: pd.DataFrame, blocks: int = 1) -> LocalRows:
    """Return a table of texts as coded rows; NaN is missing."""
    variables = Variables(
        tuple(Variable(c, tuple(sorted(frame[c].dropna().unique()))) for c in frame)
    )
    codes = [
        pd.Categorical(frame[c], categories=v.states).codes
        for c, v in zip(frame, variables.items, strict=True)
    ]
    return LocalRows(variables, np.stack(codes, axis=1).astype(np.int16), blocks)


def table_of(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str)


def counted(frame: pd.DataFrame, size: int = 3, blocks: int = 1) -> FamilyCounts:
    counts = FamilyCounts(rows_of(frame, blocks))
    counts.count_all(size)
    return counts


def graph_of(text: str, names: tuple[str, ...]):
    """Return the graph of a text such as ``[A][B|A]``."""
    arcs = []
    for part in text.strip("[]").split("]["):
        child, _, parents = part.partition("|")
        arcs += [(names.index(p), names.index(child)) for p in parents.split(":") if p]
    return parents_of(len(names), arcs)


def read(path: Path) -> Network:
    return from_bif(gzip.decompress(path.read_bytes()).decode(), path.name)


def random_network(rng: np.random.Generator, size: int = 6, most_parents: int = 3) -> Network:
    """Return a network of random arcs and tables, with 1 to 3 states a variable."""
    cards = rng.integers(1, 4, size)
    variables = Variables(
        tuple(Variable(f"v{i}", tuple(f"s{s}" for s in range(c))) for i, c in enumerate(cards))
    )
    order = rng.permutation(size)
    parents = [()] * size
    for i, v in enumerate(order):
        number = int(rng.integers(0, min(i, most_parents) + 1))
        parents[v] = tuple(sorted(int(p) for p in rng.choice(order[:i], number, replace=False)))
    tables = tuple(
        rng.dirichlet(np.ones(cards[v]), [int(cards[p]) for p in parents[v]]) for v in range(size)
    )
    return Network(variables, tuple(parents), tables)


def joint_table(network: Network) -> np.ndarray:
    """Return the joint distribution, an axis for each variable: the definition, for an oracle."""
    shape = [int(c) for c in network.variables.cards]
    codes = np.array(list(np.ndindex(*shape)))
    return np.exp(network.log_likelihoods(codes)).reshape(shape)
