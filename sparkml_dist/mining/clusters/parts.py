"""The tasks of a distributed DBSCAN: partition space, cluster each part, merge across parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.clusters.density import core_components, core_mask
from sparkml_dist.mining.clusters.space_partition import SpacePartition, partition_space
from sparkml_dist.mining.point_columns import PointColumns, point_matrix
from sparkml_dist.mining.point_survey import PointSurvey
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["CLUSTERED", "EDGES", "ROUTED", "SAMPLE", "Part", "Parts", "cores_near", "cut_task"]

SAMPLE = 20_000
ROUTED = "part int, own binary, halo binary"
CLUSTERED = "part int, rows long, cores long, sizes binary, firsts binary, peak_rss long"
EDGES = "edges binary"

Points = npt.NDArray[np.float64]
# Doubles that a point takes for cell, tree and label, beside its coordinates.
_NUMBERS_PER_POINT = 12
# Relative margin for rounding in distances that are compared axis by axis.
_SLACK = 1e-9


@dataclass(frozen=True)
class Part:
    """Facts about a clustered part for the driver, one number for each cluster at most."""

    rows: int
    cores: int
    sizes: npt.NDArray[np.int64]
    firsts: Points
    peak_rss: int


def cut_task(
    columns: PointColumns,
    eps: float,
    memory: int,
    slots: int,
    exactly: int | None,
    survey: PointSurvey,
) -> dict[str, Any]:
    """Plan the partition of space, as JSON values."""
    survey.check(columns)
    width = survey.widest
    bytes_of_point = 8 * (_NUMBERS_PER_POINT + 4 * width)
    fit = max(1, -(-survey.rows * bytes_of_point // memory))
    parts = exactly or max(fit, min(2 * slots, survey.rows // 20_000), 1)
    cut = partition_space(survey.sample, eps * (1 + _SLACK), parts)
    return {"rows": survey.rows, "width": width, "wanted": fit, "cut": cut.to_dict()}


@dataclass(frozen=True)
class Parts:
    """The work of the tasks on parts; sent to them pickled.

    Attributes
    ----------
    cut : SpacePartition
    eps : float
    least : int
        Points within `eps` that make a core point.
    folder : Folder
        Folder, seen by all workers, for the core points of the parts.
    cores : int
        Cores that a task owns.
    """

    cut: SpacePartition
    eps: float
    least: int
    folder: Folder
    cores: int

    @property
    def reach(self) -> float:
        """Distance from a part within which other points are sent to it as well."""
        return self.eps * (1 + _SLACK)

    def route(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Send each point to its part and to those whose bounds are near."""
        width = self.cut.low.shape[1]
        for batch in batches:
            points = point_matrix(batch.column(0), width)
            for part, own, halo in self.cut.placed(points, self.reach):
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([part], pa.int32()),
                        *(pa.array([points[at].tobytes()], pa.binary()) for at in (own, halo)),
                    ],
                    ["part", "own", "halo"],
                )

    def cluster(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Find the core points of a part and their components, and write them to files."""
        width = self.cut.low.shape[1]
        with PeakMemory() as memory, limit_threads(self.cores):
            own, halo, part = [], [], -1
            for batch in batches:
                for i in range(batch.num_rows):
                    part = batch.column("part")[i].as_py()
                    own.append(_points(batch.column("own")[i], width))
                    halo.append(_points(batch.column("halo")[i], width))
            if part < 0:
                return
            rows = sum(map(len, own))
            points = np.concatenate(own + halo)
            own.clear()
            halo.clear()
            core = points[:rows][core_mask(points, rows, self.eps, self.least)]
            del points
            labels = core_components(core, self.eps)
            # In the order of coordinates, so that files do not depend on the order of rows.
            order = np.lexsort((*core.T[::-1], labels))
            core, labels = core[order], labels[order]
            starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1])[: len(labels)])
            near = self.cut.near_faces(core, part, self.reach)
            for name, array in (
                ("cores", core),
                ("labels", labels),
                ("border-cores", core[near]),
                ("border-labels", labels[near]),
            ):
                write_array(self.folder, part_file(name, part), array)
            sizes = np.bincount(labels).astype(np.int64)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array([part], pa.int32()),
                    pa.array([rows], pa.int64()),
                    pa.array([len(core)], pa.int64()),
                    pa.array([sizes.tobytes()], pa.binary()),
                    pa.array([core[starts].tobytes()], pa.binary()),
                    pa.array([memory.so_far()], pa.int64()),
                ],
                [field.split()[0] for field in CLUSTERED.split(", ")],
            )

    def touching(
        self, offsets: npt.NDArray[np.int64], batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """Find pairs of connected components of different parts.

        Parameters
        ----------
        offsets : ndarray of int64, shape (parts + 1,)
            Number of the first component of each part among those of all parts; parts without
            points have none.
        """
        with limit_threads(self.cores):
            for batch in batches:
                for part in batch.column(0).to_pylist():
                    edges = self._edges(part, offsets)
                    yield pa.RecordBatch.from_arrays(
                        [pa.array([edges.tobytes()], pa.binary())], ["edges"]
                    )

    def _edges(self, part: int, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        nothing = np.empty((0, 2), np.int64)
        if offsets[part] == offsets[part + 1]:
            return nothing
        points, numbers = [], []
        # The part with the lower number compares each pair.
        for other in [part, *(p for p in self.cut.neighbours(part, self.reach) if p > part)]:
            if offsets[other] == offsets[other + 1]:
                continue
            core = read_array(self.folder, part_file("border-cores", other))
            labels = read_array(self.folder, part_file("border-labels", other))
            near = self.cut.within(core, part, self.reach)
            points.append(core[near])
            numbers.append(labels[near] + offsets[other])
        if len(points) < 2:
            return nothing
        component = core_components(np.concatenate(points), self.eps)
        number = np.concatenate(numbers)
        pairs = np.unique(np.stack([component, number], axis=1), axis=0)
        same = pairs[1:, 0] == pairs[:-1, 0]
        return np.stack([pairs[:-1, 1][same], pairs[1:, 1][same]], axis=1).astype(np.int64)


def part_file(name: str, part: int) -> str:
    """Return the name of a part's file."""
    return f"{name}-{part:05d}.npy"


def cores_near(
    folder: Folder,
    cut: SpacePartition,
    part: int,
    reach: float,
    labels: npt.NDArray,
    offsets: npt.NDArray,
) -> tuple[Points, npt.NDArray]:
    """Return the core points in a part and within `reach` of it, and their clusters."""
    points, clusters = [np.empty((0, cut.low.shape[1]))], [np.empty(0, labels.dtype)]
    for other in [part, *cut.neighbours(part, reach)]:
        if offsets[other] == offsets[other + 1]:
            continue
        border = "" if other == part else "border-"
        core = read_array(folder, part_file(f"{border}cores", other))
        own = read_array(folder, part_file(f"{border}labels", other))
        if border:
            near = cut.within(core, part, reach)
            core, own = core[near], own[near]
        points.append(core)
        clusters.append(labels[own + offsets[other]])
    return np.concatenate(points), np.concatenate(clusters)


def _points(value: pa.Scalar, width: int) -> Points:
    return np.frombuffer(value.as_buffer(), np.float64).reshape(-1, width)
