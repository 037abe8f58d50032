"""Shards whose rows tell where they come from, for the tests of the input."""

from __future__ import annotations

import threading

import numpy as np
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.input.pipeline import BatchStream
from sparkml_dist.deep.input.plan import lanes_of, plan_epoch, rank_batch

FEATURES = 4


class Shards:
    """The first feature of a row is its number from 1, and its class the parity of that.

    Attributes
    ----------
    reads : list of (int, int)
        Shard and row group of every reading.
    threads : set of str
        Names of the threads that read.
    """

    def __init__(self, groups, *, sparse=False, weighted=False):
        self.groups = groups
        self.sparse = sparse
        self.weighted = weighted
        sizes = [(s, g, n) for s, rows in enumerate(groups) for g, n in enumerate(rows)]
        ends = np.cumsum([n for _, _, n in sizes])
        self.ids = {
            (s, g): np.arange(end - n, end) + 1 for (s, g, n), end in zip(sizes, ends, strict=True)
        }
        self.n = int(ends[-1])
        self.reads, self.threads = [], set()

    def read(self, shard, row_groups):
        (group,) = row_groups
        self.reads.append((shard, group))
        self.threads.add(threading.current_thread().name)
        ids = self.ids[shard, group]
        X = np.stack([ids, ids * 2, np.zeros_like(ids), -ids], axis=1).astype(np.float32)
        weight = (ids % 5).astype(np.float32) if self.weighted else None
        y = (ids % 2).astype(np.int32)
        return Block(sp.csr_matrix(X) if self.sparse else X, y, weight, ids.astype(np.int64))

    def plan(self, batch, lanes, epoch=0, seed=3):
        return plan_epoch(self.groups, lanes=lanes, batch_size=batch, seed=seed, epoch=epoch)

    def stream(self, plan, rank=0, ranks=1, inputs=None, **options):
        lanes = lanes_of(rank, ranks, plan.lanes)
        return BatchStream(
            self.read, plan, lanes, FEATURES, inputs, batch_size=rank_batch(plan, ranks), **options
        )

    def batches(self, ranks, batch, lanes=None, epoch=0, **options):
        """Return for each rank its batches, of a global batch of `batch` rows."""
        plan = self.plan(batch, lanes or ranks, epoch)
        found = []
        for rank in range(ranks):
            with self.stream(plan, rank, ranks, **options) as stream:
                found.append(list(stream))
        return found


def copied(batch):
    """Return a batch with memory of its own, to compare it with later."""
    x = {k: v.copy() for k, v in batch.x.items()} if isinstance(batch.x, dict) else batch.x.copy()
    return type(batch)(x, batch.y.copy(), batch.weight.copy(), batch.rows)


def ids_of(batch):
    """Return the numbers of the rows that count."""
    return batch.x[: batch.rows, 0].astype(int).tolist()


def ids_by_step(by_rank):
    """Return for each step the sorted numbers of the rows of all ranks."""
    return [sorted(i for b in step for i in ids_of(b)) for step in zip(*by_rank, strict=True)]
