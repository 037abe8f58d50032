"""The isolation forest, standard and extended, whose trees grow on the executors."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining.outliers.isolation_model import IsolationForestModel
from sparkml_dist.mining.outliers.isolation_trees import depth_of, grow_tree
from sparkml_dist.mining.outliers.outlier_params import OutlierEstimator
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.mining.point_survey import joined_surveys, partial_surveys
from sparkml_dist.params import constructor, is_share_or_count, param, share_of, share_or_count
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["IsolationForest"]

_logger = logging.getLogger(__name__)

_METHODS = ("standard", "extended")
_DRAWN = "group int, tree int, samples int, width int, rows binary, facts string"
_GROWN = (
    "tree int, samples int, width int, tests binary, thresholds binary, paths binary, "
    "rows long, constant int, peak_rss long"
)
_MOST_SAMPLED = 1 << 20
_MOST_OF_A_TREE = 1 << 16

# Equal rows score 0.5 up to rounding in float32.
_HALF = 0.5 + 1e-6


class IsolationForest(OutlierEstimator, HasSeed):
    """Finds rows that few random splits separate from all others.

    One pass draws a random sample of the rows; tasks grow each tree from its own part of it.
    Scoring evaluates all trees on blocks of rows.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    numMembers : int, default=100
        Number of trees.
    maxSamples : float or int, default=256
        Rows that a tree grows from: their number, or a share of all (a float); 65536 at most.
    method : {"standard", "extended"}, default="standard"
        Splits on one feature, or along random directions of several.
    extensionLevel : int, optional
        Number of features of an extended split's direction, minus one; all features when not set.
    contamination : float, optional
        Share of the training rows to label as outliers, in (0, 0.5]. When not set, scores above 0.5
        are outliers.
    seed : int, default=0
    predictionCol, scoreCol : str
        1.0 for outliers and 0.0 for others; the score in (0, 1), higher for more anomalous rows.

    References
    ----------
    Liu, Ting, Zhou (2008), Isolation Forest. Hariri, Carrasco Kind, Brunner (2019), Extended
    Isolation Forest.

    Examples
    --------
    >>> model = IsolationForest(contamination=0.02, seed=1).fit(iris)
    >>> model.transform(iris).where("prediction = 1").count()
    3
    """

    numMembers: Any = param("numMembers", "number of trees (>= 1)", TypeConverters.toInt)
    maxSamples: Any = param(
        "maxSamples",
        "rows that a tree grows from: a share in (0, 1], or a number (2 to 65536)",
        share_or_count,
    )
    method: Any = param("method", f"one of {', '.join(_METHODS)}", TypeConverters.toString)
    extensionLevel: Any = param(
        "extensionLevel",
        "features of an extended split, minus one (>= 0); all when not set",
        TypeConverters.toInt,
    )

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 100,
        maxSamples: float | int = 256,
        method: str = "standard",
        extensionLevel: int | None = None,
        scoreCol: str = "outlierScore",
        contamination: float | None = None,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> IsolationForestModel:
        self._check()
        columns = self._columns(dataset)
        spark = dataset.sparkSession
        info = SessionInfo.of(spark)
        trees = self.getOrDefault(self.numMembers)
        groups = min(trees, info.slots or 1)
        plan = {
            "trees": trees,
            "samples": self.getOrDefault(self.maxSamples),
            "seed": int(self.getOrDefault(self.seed)) & (2**63 - 1),
            "groups": groups,
        }
        most = plan["samples"] if isinstance(plan["samples"], int) else _MOST_OF_A_TREE
        sample = min(_MOST_SAMPLED, trees * most)
        level = None
        if self.getOrDefault(self.method) == "extended":
            wanted = self._value(self.extensionLevel)
            level = -1 if wanted is None else wanted
        start = time.perf_counter()
        with job_description(spark, "sparkml_dist: grow an isolation forest"):
            partials = partial_surveys(columns.points(dataset), sample=sample, seed=plan["seed"])
            drawn = partials.repartition(1).mapInArrow(
                partial(_draw, columns, plan, sample), _DRAWN
            )
            grown = drawn.repartitionById(groups, "group").mapInArrow(
                partial(_grow, plan["seed"], level, info.task_cpus), _GROWN
            )
            table = grown.toArrow()
        if not table.num_rows:
            raise DataError("empty_data", "There are no rows.", "Check the data.")
        model = self._model(columns, table, extended=level is not None)
        model.summary["seconds"] = round(time.perf_counter() - start, 3)
        fitted: IsolationForestModel = self._with_threshold(model, dataset)
        return fitted

    def _model(
        self, columns: PointColumns, table: pa.Table, *, extended: bool
    ) -> IsolationForestModel:
        table = table.combine_chunks().sort_by("tree")
        first = table.slice(0, 1).to_pylist()[0]
        width, size = first["width"], 1 << depth_of(first["samples"])
        if first["constant"]:
            _logger.warning(
                "%d of %d columns are constant and have no effect",
                first["constant"],
                width,
            )

        def stacked(name: str, dtype: Any, *shape: int) -> npt.NDArray[Any]:
            values = [np.frombuffer(v.as_buffer(), dtype) for v in table.column(name)]
            return np.stack(values).reshape(len(values), *shape)

        tests = (
            stacked("tests", np.float32, size, width)
            if extended
            else stacked("tests", np.int32, size)
        )
        return IsolationForestModel(
            columns=columns,
            content={"width": width, "samples": first["samples"], "threshold": _HALF},
            arrays={
                "normals" if extended else "features": tests,
                "thresholds": stacked("thresholds", np.float32, size),
                "paths": stacked("paths", np.float32, size),
            },
            summary={
                "rows": first["rows"],
                "trees": table.num_rows,
                "constant_columns": first["constant"],
                "peak_worker_rss": max(table.column("peak_rss").to_pylist()),
            },
        )

    def _check(self) -> None:
        super()._check()
        method = self.getOrDefault(self.method)
        self._require(self.method, method in _METHODS, f"one of {', '.join(_METHODS)}")
        self._require(self.numMembers, self.getOrDefault(self.numMembers) >= 1, "at least 1")
        samples = self.getOrDefault(self.maxSamples)
        fits = is_share_or_count(samples, least=2) and samples <= _MOST_OF_A_TREE
        self._require(self.maxSamples, fits, f"a share in (0, 1], or from 2 to {_MOST_OF_A_TREE}")
        level = self._value(self.extensionLevel)
        self._require(self.extensionLevel, level is None or level >= 0, "at least 0")


def _draw(
    columns: PointColumns, plan: dict[str, Any], sample: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Distribute the sample over the trees, each row to one tree where there are enough rows."""
    survey = joined_surveys(batches, sample=sample)
    if not survey.rows:
        return  # no rows; the driver raises
    survey.check(columns)
    rows = survey.sample.astype(np.float32)
    wanted = round(share_of(plan["samples"], survey.rows) * survey.rows)
    samples = min(max(2, wanted), _MOST_OF_A_TREE, len(rows))
    constant = int((survey.low == survey.high).sum())
    rng = np.random.default_rng([plan["seed"], 1])
    order = rng.permutation(len(rows))
    for tree in range(plan["trees"]):
        if (tree + 1) * samples <= len(order):
            own = order[tree * samples : (tree + 1) * samples]
        else:
            own = rng.choice(len(rows), samples, replace=False)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([tree % plan["groups"]], pa.int32()),
                pa.array([tree], pa.int32()),
                pa.array([samples], pa.int32()),
                pa.array([rows.shape[1]], pa.int32()),
                pa.array([rows[own].tobytes()], pa.binary()),
                pa.array([f"{survey.rows},{constant}"]),
            ],
            ["group", "tree", "samples", "width", "rows", "facts"],
        )


def _grow(
    seed: int, level: int | None, cores: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(cores):
        for batch in batches:
            for row in batch.to_pylist():
                width, tree = row["width"], row["tree"]
                points = np.frombuffer(row["rows"], np.float32).reshape(-1, width)
                rng = np.random.default_rng([seed, 2, tree])
                own = None if level is None else (width - 1 if level < 0 else level)
                if own is not None and own > width - 1:
                    raise ConfigurationError(
                        "invalid_param",
                        f"extensionLevel must be at most {width - 1} for {width} columns. "
                        f"Got {own}.",
                    )
                grown = grow_tree(points, depth_of(row["samples"]), own, rng)
                rows, constant = map(int, row["facts"].split(","))
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([tree], pa.int32()),
                        pa.array([row["samples"]], pa.int32()),
                        pa.array([width], pa.int32()),
                        *(pa.array([a.tobytes()], pa.binary()) for a in grown),
                        pa.array([rows], pa.int64()),
                        pa.array([constant], pa.int32()),
                        pa.array([memory.so_far()], pa.int64()),
                    ],
                    [field.split()[0] for field in _GROWN.split(", ")],
                )
