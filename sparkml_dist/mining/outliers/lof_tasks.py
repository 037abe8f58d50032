"""The tasks of a local outlier factor: partition points into blocks, process one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.outliers.local_density import factors, reachability_density
from sparkml_dist.mining.outliers.median_cut import MedianCut
from sparkml_dist.mining.outliers.neighborhoods import Neighborhoods, neighborhoods
from sparkml_dist.mining.outliers.point_blocks import PointBlocks, block_file
from sparkml_dist.mining.point_columns import PointColumns, point_matrix
from sparkml_dist.mining.point_survey import PointSurvey
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = [
    "DONE",
    "KEPT",
    "ROUTED",
    "SAMPLE",
    "WORKED",
    "WRITTEN",
    "BlockTask",
    "plan_task",
    "route",
    "write_block",
]

ROUTED = "block int, points binary, times binary"
WRITTEN = "block int, size long, low binary, high binary"
DONE = "block int, peak_rss long"

SAMPLE = 20_000
#: Files of a block that the model keeps, and those that only the fit needs.
KEPT = ("points", "times", "reach", "density", "factor")
WORKED = ("near-rows", "near-distances", "near-times")

# Doubles that a point takes while its block is searched: coordinates of two blocks and their trees;
# and twice as many candidates as are kept, with distances and hashes.
_NUMBERS_PER_COORDINATE, _NUMBERS_PER_CANDIDATE = 4, 12
_FEWEST = 2_000


def plan_task(
    columns: PointColumns,
    k: int,
    memory: int,
    slots: int,
    exactly: int | None,
    survey: PointSurvey,
) -> dict[str, Any]:
    """Plan the partition of the points, as JSON values."""
    survey.check(columns)
    width = survey.widest
    k = max(1, min(k, survey.rows - 1))
    of_point = 8 * (_NUMBERS_PER_COORDINATE * width + _NUMBERS_PER_CANDIDATE * (k + 8))
    fit = -(-survey.rows * of_point // memory)
    blocks = exactly or max(1, fit, min(2 * slots, survey.rows // _FEWEST))
    cut = MedianCut.of(survey.sample, blocks)
    return {"rows": survey.rows, "width": width, "k": k, "cut": cut.to_dict()}


def route(
    cut: MedianCut, width: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Send distinct points with their counts to their blocks."""
    for batch in batches:
        points = point_matrix(batch.column(0), width) + 0.0  # minus zero is zero
        times = batch.column(1).to_numpy()
        home = cut.block_of(points)
        for block in np.unique(home):
            own = home == block
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([block], pa.int32()),
                    *(pa.array([a[own].tobytes()], pa.binary()) for a in (points, times)),
                ],
                ["block", "points", "times"],
            )


def write_block(
    folder: Folder, width: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Write the points of one block, ordered by their coordinates."""
    points, times, block = [], [], -1
    for batch in batches:
        for i in range(batch.num_rows):
            block = batch.column("block")[i].as_py()
            found = np.frombuffer(batch.column("points")[i].as_buffer(), np.float64)
            points.append(found.reshape(-1, width))
            times.append(np.frombuffer(batch.column("times")[i].as_buffer(), np.int64))
    if block < 0:
        return
    whole, number = np.concatenate(points), np.concatenate(times)
    points.clear()
    order = np.lexsort(whole.T[::-1])
    whole = whole[order]
    write_array(folder, block_file("points", block), whole)
    write_array(folder, block_file("times", block), number[order])
    yield pa.RecordBatch.from_arrays(
        [
            pa.array([block], pa.int32()),
            pa.array([len(whole)], pa.int64()),
            *(pa.array([a.tobytes()], pa.binary()) for a in (whole.min(axis=0), whole.max(axis=0))),
        ],
        ["block", "size", "low", "high"],
    )


@dataclass(frozen=True)
class BlockTask:
    """The steps of the fit, one block at a time; sent to the tasks.

    Each step needs the files of the previous step for all blocks.

    Attributes
    ----------
    blocks : PointBlocks
    k : int
    cores : int
        Cores that a task owns.
    """

    blocks: PointBlocks
    k: int
    cores: int

    def search(self, block: int) -> None:
        """Write the neighbourhoods and k-distances of a block's points."""
        points = self.blocks.array("points", block)
        own = np.arange(len(points)) + self.blocks.offsets[block]
        near = neighborhoods(points, self.blocks, self.k, own)
        arrays: list[npt.NDArray[Any]] = [near.rows, near.distances, near.times.astype(np.int32)]
        for name, array in zip(WORKED, arrays, strict=True):
            self._write(name, block, array)
        self._write("reach", block, near.reach)

    def densities(self, block: int) -> None:
        """Write the densities of a block's points; needs all k-distances."""
        self._write("density", block, reachability_density(self._near(block), self.blocks))

    def factors(self, block: int) -> None:
        """Write the factors of a block's points; needs all densities."""
        density = self.blocks.array("density", block)
        self._write("factor", block, factors(self._near(block), self.blocks, density))

    def run(
        self, steps: tuple[str, ...], batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """Run steps for each block whose number is in `batches` and that has points."""
        with PeakMemory() as memory, limit_threads(self.cores):
            for batch in batches:
                for block in batch.column(0).to_pylist():
                    if not self.blocks.size(block):
                        continue
                    for step in steps:
                        work: Callable[[int], None] = getattr(self, step)
                        work(block)
                    yield pa.RecordBatch.from_arrays(
                        [pa.array([block], pa.int32()), pa.array([memory.so_far()], pa.int64())],
                        ["block", "peak_rss"],
                    )

    def _write(self, name: str, block: int, array: npt.NDArray[Any]) -> None:
        write_array(self.blocks.folder, block_file(name, block), array)

    def _near(self, block: int) -> Neighborhoods:
        folder = self.blocks.folder
        return Neighborhoods(*(read_array(folder, block_file(name, block)) for name in WORKED))
