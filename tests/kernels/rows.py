"""Rows in memory, cut into blocks, in the place of a data set."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.kernels.sampled_rows import SampledRows


@dataclass
class MemoryRows:
    """A `RowSource` without Spark."""

    X: Any
    y: Any
    weight: Any = None
    blocks: int = 3
    passes: int = 0

    @property
    def schema(self):
        columns = [FeatureColumn(f"x{i}", "numeric") for i in range(self.X.shape[1])]
        return FeatureSchema(tuple(columns))

    def add(self, function, parameters=()):
        self.passes += 1
        edges = np.linspace(0, len(self.X), self.blocks + 1).astype(int)
        keys = np.arange(len(self.X))
        return sum_in_order(
            function(
                Block(
                    self.X[a:b],
                    self.y[a:b],
                    None if self.weight is None else self.weight[a:b],
                    keys[a:b],
                ),
                *parameters,
            )
            for a, b in itertools.pairwise(edges)
        )

    def solve(self, solver, problem, passes):
        return solver(self, problem)

    def sample(self, number, seed, function):
        drawn = np.random.default_rng(seed).permutation(len(self.X))[:number]
        weight = np.ones(len(drawn)) if self.weight is None else self.weight[drawn]
        found = function(SampledRows(self.X[drawn], self.y[drawn].astype(float), weight))
        return {name: np.asarray(value) for name, value in found.items()}
