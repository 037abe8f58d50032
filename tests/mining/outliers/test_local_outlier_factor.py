"""Local outlier factors: those of scikit-learn, by any number of blocks, with copies and ties."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor as Reference

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import LocalOutlierFactor, LocalOutlierFactorModel
from sparkml_dist.mining.outliers.lof_tasks import BlockTask
from sparkml_dist.mining.outliers.median_cut import MedianCut
from sparkml_dist.mining.outliers.point_blocks import PointBlocks, block_file
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder


def wanted(points, k, new=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # copies, and few points
        # Its other search puts copies of a point at a small distance.
        fitted = Reference(k, algorithm="kd_tree", novelty=new is not None).fit(points)
    return -fitted.negative_outlier_factor_ if new is None else -fitted.score_samples(new)


def factors(points, k, number, folder):
    """Run the steps of the fit in this process; return the factor of each point."""
    distinct, inverse, times = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    cut = MedianCut.of(points, number)
    home = cut.block_of(distinct)
    parts = [np.flatnonzero(home == block) for block in range(cut.blocks)]
    for block, part in enumerate(parts):
        write_array(folder, block_file("points", block), distinct[part])
        write_array(folder, block_file("times", block), times[part])
    empty = np.zeros(points.shape[1])
    bounds = [
        np.array([getattr(distinct[p], side)(axis=0) if len(p) else empty for p in parts])
        for side in ("min", "max")
    ]
    offsets = np.append(0, np.cumsum([len(p) for p in parts]))
    blocks = PointBlocks(folder, offsets, *bounds)
    task = BlockTask(blocks, min(k, len(points) - 1), 1)
    filled = [block for block in range(cut.blocks) if len(parts[block])]
    for step in (task.search, task.densities, task.factors):
        for block in filled:
            step(block)
    out = np.empty(len(distinct))
    for block in filled:
        out[parts[block]] = blocks.array("factor", block)
    return out[inverse], blocks


@settings(max_examples=settings().max_examples // 2)
@given(
    st.integers(0, 1000),
    st.sampled_from([2, 3, 25, 160]),
    st.sampled_from([1, 2, 20]),
    st.sampled_from([1, 3, 8]),
)
def test_factors_are_those_of_scikit_learn(tmp_path_factory, seed, k, width, number):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(150, width)) * 10 ** rng.uniform(-3, 3) + rng.uniform(-100, 100)
    points[:40] = points[rng.integers(0, 150, 40)]  # copies, here and there more than k
    points[40:70] = points[39]
    folder = Folder.at(str(tmp_path_factory.mktemp("blocks")))
    found, _ = factors(points, k, number, folder)
    assert found == pytest.approx(wanted(points, k), rel=1e-6)


def test_points_on_a_grid_score_alike_in_any_blocks(tmp_path):
    """Where many points are equally far away, the same ones are taken every time."""
    axis = np.arange(12.0)
    points = np.array([(x, y) for x in axis for y in axis if (x + 2 * y) % 5])
    points = np.r_[points, points[::7]]
    scores = []
    for number in (1, 2, 8):
        folder = Folder.at(str(tmp_path / str(number)))
        folder.create()
        scores.append(factors(points, 6, number, folder)[0])
    assert (scores[1] == scores[0]).all() and (scores[2] == scores[0]).all()


def test_blocks_far_away_are_not_read(tmp_path):
    rng = np.random.default_rng(0)
    points = np.r_[rng.normal(0, 1, (200, 2)), rng.normal(1000, 1, (200, 2))]
    _, blocks = factors(points, 5, 2, Folder.at(str(tmp_path)))
    read = []
    blocks.block = lambda b, f=blocks.block: read.append(b) or f(b)
    BlockTask(blocks, 5, 1).search(0)
    assert read == [0]


@pytest.mark.parametrize("blocks", [1, 2, 5, 16])
def test_a_cut_gives_every_block_its_share(blocks):
    points = np.random.default_rng(1).normal(size=(4000, 3))
    cut = MedianCut.of(points[:1000], blocks)
    sizes = np.bincount(cut.block_of(points), minlength=cut.blocks)
    assert len(sizes) == cut.blocks >= blocks
    assert sizes.min() > 4000 / cut.blocks * 0.6
    again = MedianCut.from_dict(cut.to_dict())
    assert (again.block_of(points) == cut.block_of(points)).all()


def test_one_point_many_times_cannot_be_cut():
    points = np.ones((50, 2))
    assert MedianCut.of(points, 4).block_of(points).tolist() == [0] * 50


def frame(spark, points, partitions=2):
    table = pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])])
    return spark.createDataFrame(table.assign(id=range(len(points)))).repartition(partitions)


def column(df):
    return df.orderBy("id").toPandas()["outlierScore"].to_numpy()


@pytest.mark.long
@pytest.mark.modes("local-cluster")
def test_training_rows_and_new_rows(spark, tmp_path):
    rng = np.random.default_rng(2)
    points = rng.normal(size=(500, 3))
    points[:100] = points[100:200]
    points[5], points[6] = -0.0, 0.0
    new = np.r_[rng.normal(size=(60, 3)), points[:20], [[9.0, 9, 9]]]
    df, fresh = frame(spark, points, 3), frame(spark, new)
    model = LocalOutlierFactor(
        featuresCols=["x*"],
        numNeighbors=10,
        numPartitions=2,
        contamination=0.05,
        modelDir=str(tmp_path / "fit"),
    ).fit(df)
    own = model.scores().orderBy("id").toPandas()
    assert own["outlierScore"].to_numpy() == pytest.approx(wanted(points, 10), rel=1e-6)
    assert column(model.transform(fresh)) == pytest.approx(wanted(points, 10, new), rel=1e-6)
    assert abs(own["prediction"].sum() - 25) <= 3
    assert (model.summary["blocks"], model.summary["distinct_points"]) == (2, 401)
    model.save(str(tmp_path / "lof"))
    fitted = LocalOutlierFactorModel.load(str(tmp_path / "fit"))  # modelDir is a saved model too
    assert fitted.score(new).tolist() == model.score(new).tolist()
    again = LocalOutlierFactorModel.load(str(tmp_path / "lof"))
    assert again.threshold == model.threshold
    assert again.score(new) == pytest.approx(wanted(points, 10, new), rel=1e-6)
    assert column(again.scores(df)) == pytest.approx(own["outlierScore"].to_numpy())
    with pytest.raises(ConfigurationError, match="does not have its training rows"):
        again.scores()


def test_rows_all_alike_and_too_few(spark, caplog):
    model = LocalOutlierFactor(featuresCols=["x*"]).fit(frame(spark, np.ones((8, 2))))
    assert model.numNeighbors == 7 and "8 rows" in caplog.text
    assert column(model.scores()) == pytest.approx(np.ones(8))
    assert model.score(np.ones((1, 2)))[0] == pytest.approx(1)
    with pytest.raises(DataError, match="no neighbours"):
        LocalOutlierFactor(featuresCols=["x*"]).fit(frame(spark, np.ones((1, 2))))
    with pytest.raises(DataError, match="no rows"):
        LocalOutlierFactor(featuresCols=["x"]).fit(spark.createDataFrame([], "x double"))
    with pytest.raises(Exception, match="1 of 2 rows have null, NaN or infinite"):
        LocalOutlierFactor().fit(spark.createDataFrame([(1.0,), (float("nan"),)], "x double"))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"numNeighbors": 0}, "numNeighbors must be at least 1"),
        ({"contamination": 0.7}, "contamination must be in"),
        ({"numPartitions": 0}, "numPartitions must be at least 1"),
        ({"memoryPerTask": "much"}, "memoryPerTask"),
    ],
)
def test_params_out_of_range(spark, params, told):
    with pytest.raises(ConfigurationError, match=told):
        LocalOutlierFactor(**params).fit(spark.range(3))
