"""Cutting: nothing lost, nothing twice, the same cut every time, shards that are fair samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sparkml_dist import open_partitioned, partition
from sparkml_dist.errors import ConfigurationError, DataError, SparkMLDistError, StorageError


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return load_digits(as_frame=True).frame


def rows_of(block):
    """Rows as a sorted list, to compare as multisets."""
    X = block.X.toarray() if hasattr(block.X, "toarray") else block.X
    return sorted(map(tuple, np.nan_to_num(np.c_[X, block.y], nan=-9.0).tolist()))


@pytest.mark.modes
def test_what_a_killed_cut_left_is_no_obstacle(spark, tmp_path):
    frame = spark.range(40).selectExpr("double(id) AS x", "int(id % 2) AS label")
    home = tmp_path / "shards"
    partition(frame, str(home), label="label", shards=2)
    (home / "manifest.json").unlink()
    data = partition(frame, str(home), label="label", shards=2)
    assert data.n_rows == 40 and len(list(home.glob("shards-*"))) == 1
    (home / "manifest.json").unlink()
    (home / "notes.txt").write_text("somebody's")
    with pytest.raises(StorageError, match="output_exists"):
        partition(frame, str(home), label="label", shards=2)


def test_every_row_is_in_one_shard_with_its_label(spark, digits, tmp_path):
    data = partition(spark.createDataFrame(digits), tmp_path / "d", label="target", shards=3)
    block = data.read_block([0, 1, 2])
    assert block.X.dtype == np.float32
    assert block.X.flags.c_contiguous
    assert rows_of(block) == sorted(map(tuple, digits.to_numpy().tolist()))
    assert data.classes == list(range(10))
    assert data.feature_names == list(digits.columns[:-1])
    assert [s.rows for s in data.shards] == [len(data.read_block(i)) for i in range(3)]
    assert np.sum([s.class_rows for s in data.shards], axis=0).tolist() == (
        digits.target.value_counts().sort_index().tolist()
    )
    data.verify()
    assert open_partitioned(tmp_path / "d") == data


def test_the_cut_does_not_depend_on_how_the_data_lies(spark, digits, tmp_path):
    frame = spark.createDataFrame(digits)
    one = partition(frame, tmp_path / "1", label="target", shards=4, seed=5)
    other = partition(
        frame.repartition(7).orderBy("pixel_3_3"), tmp_path / "2", label="target", shards=4, seed=5
    )
    another = partition(frame, tmp_path / "3", label="target", shards=4, seed=6)
    assert one.manifest.content_sha256 == other.manifest.content_sha256
    assert one.manifest.content_sha256 != another.manifest.content_sha256


def test_shards_are_fair_samples_of_sorted_data(spark, tmp_path):
    # Sorted input is the worst case: a cut by position would give every shard another range.
    frame = spark.range(40_000).selectExpr(
        "id / 40000.0 AS x", "sin(id) AS z", "id % 7 = 0 AS rare"
    )
    data = partition(frame, tmp_path / "d", label="rare", shards=5)
    counts = [s.class_rows for s in data.shards]
    assert stats.chi2_contingency(counts).pvalue > 1e-3
    for i in range(5):
        assert stats.kstest(data.read_block(i).X[:, 0], "uniform").pvalue > 1e-3
    assert stats.chisquare([s.rows for s in data.shards]).pvalue > 1e-3


def test_rows_within_a_shard_are_in_random_order(spark, tmp_path):
    frame = spark.range(20_000).selectExpr("id AS x", "id % 2 AS y")
    x = partition(frame, tmp_path / "d", label="y", shards=1).read_block(0).X[:, 0]
    assert abs(stats.spearmanr(np.arange(len(x)), x).statistic) < 0.03


def test_equal_rows_are_spread_over_shards_with_keys_of_their_own(spark, tmp_path):
    frame = spark.range(12_000).selectExpr("id % 3 AS a", "id % 2 AS b", "id % 5 = 0 AS y")
    data = partition(frame, tmp_path / "d", label="y", shards=4)
    block = data.read_block(range(4))
    assert len(block) == 12_000
    assert len(np.unique(block.key)) == 12_000
    assert stats.chisquare([s.rows for s in data.shards]).pvalue > 1e-3
    whole = pd.DataFrame(block.X).value_counts().sort_index().tolist()
    assert whole == [2000] * 6
    again = partition(frame.repartition(5), tmp_path / "e", label="y", shards=4)
    assert again.manifest.content_sha256 == data.manifest.content_sha256


def test_an_identity_column_is_the_key_and_not_a_feature(spark, tmp_path):
    frame = spark.range(300).selectExpr("id % 30 AS user", "id * 1.5 AS x", "id % 2 AS y")
    data = partition(frame, tmp_path / "d", label="y", key="user", shards=2)
    assert data.feature_names == ["x"]
    assert len(np.unique(data.read_block([0, 1]).key)) == 30


@pytest.mark.modes
def test_all_kinds_of_columns_at_once(spark, tmp_path):
    from pyspark.ml.linalg import Vectors, VectorUDT
    from pyspark.sql import types as T

    def row(i):
        sparse = Vectors.sparse(6, {1: 1.0, 4: float(i)})
        vector = sparse if i % 2 else Vectors.dense([0.0, 1.0, 0.0, 0.0, float(i), 0.0])
        colour = None if i % 5 == 0 else "red" if i % 2 else "blue"
        return (
            vector,
            [float(i), None],
            colour,
            None if i % 7 == 0 else i,
            i % 3 == 0,
            f"c{i % 2}",
        )

    schema = T.StructType(
        [
            T.StructField("v", VectorUDT()),
            T.StructField("a", T.ArrayType(T.DoubleType())),
            T.StructField("colour", T.StringType()),
            T.StructField("n", T.IntegerType()),
            T.StructField("flag", T.BooleanType()),
            T.StructField("y", T.StringType()),
        ]
    )
    frame = spark.createDataFrame([row(i) for i in range(60)], schema)
    data = partition(frame, tmp_path / "d", label="y", categorical=["colour"], shards=2)
    assert data.classes == ["c0", "c1"]
    assert data.schema.columns[2].categories == ("blue", "red")
    nan = -9.0
    expected = []
    for i in range(60):
        colour = nan if i % 5 == 0 else float(i % 2)
        n = nan if i % 7 == 0 else float(i)
        vector = [0.0, 1.0, 0.0, 0.0, float(i), 0.0]
        expected.append((*vector, float(i), nan, colour, n, float(i % 3 == 0), float(i % 2)))
    block = data.read_block([0, 1])
    assert rows_of(block) == sorted(expected)
    assert data.manifest.missing_features == (7, 8, 9)


def test_sparse_rows_stay_sparse(spark, tmp_path):
    frame = spark.range(200).selectExpr(
        "named_struct('size', 1000, 'indices', array(int(id % 1000), 1000 - 1),"
        " 'values', array(float(id), 2f)) AS f",
        "id % 2 AS y",
    )
    data = partition(frame, tmp_path / "d", label="y", shards=2)
    block = data.read_block([0, 1])
    assert data.layout == "sparse"
    assert block.X.shape == (200, 1000)
    assert sorted(block.X.sum(axis=1).A1.tolist()) == [float(i + 2) for i in range(200)]
    part = data.read_block(0, features=[999, 0])
    assert (part.X.toarray()[:, 0] == 2).all()


def test_weights_and_regression(spark, tmp_path):
    frame = spark.range(50).selectExpr("id * 1.0 AS x", "id / 10.0 AS y", "id % 3 + 0.5 AS w")
    uri = (tmp_path / "d").as_uri()
    data = partition(frame, uri, label="y", weight="w", task="regression", shards=1)
    assert open_partitioned(uri).location == str(tmp_path / "d")
    block = data.read_block(0)
    assert data.classes is None
    assert block.y.dtype == np.float64
    assert np.allclose(block.y, block.X[:, 0] / 10)
    assert np.allclose(block.weight, block.X[:, 0] % 3 + 0.5)


def test_row_groups_and_features_can_be_read_alone(spark, tmp_path):
    frame = spark.range(3000).selectExpr("id AS a", "id * 2 AS b", "id * 3 AS c", "id % 2 AS y")
    data = partition(frame, tmp_path / "d", label="y", memory_per_task="16k")
    info = data.shards[0]
    assert len(info.row_groups) > 1
    assert max(s.block_bytes for s in data.shards) * 3 <= 16 << 10
    whole = data.read_block(0)
    second = data.read_block(0, row_groups=[1])
    first = info.row_groups[0]
    assert np.array_equal(second.X, whole.X[first : first + info.row_groups[1]])
    assert np.array_equal(data.read_block(0, features=[2, 0]).X, whole.X[:, [2, 0]])
    assert data.read_block(0, dtype=np.float64).X.dtype == np.float64


def test_wide_rows_take_the_list_layout(spark, tmp_path):
    frame = spark.range(40).selectExpr(
        "transform(sequence(0, 1999), i -> float(i + id)) AS x", "id % 2 AS y"
    )
    data = partition(frame, tmp_path / "d", label="y", shards=2)
    assert data.layout == "dense"
    block = data.read_block([0, 1])
    assert sorted(block.X[:, 0].tolist()) == list(range(40))
    assert (block.X[:, 1999] == block.X[:, 0] + 1999).all()


GOOD = "SELECT id AS a, id * 0.5 AS b, id % 2 AS y, 'x' AS s, 1.0 AS w FROM range(20)"


@pytest.mark.parametrize(
    ("sql", "arguments", "code"),
    [
        (GOOD, {"label": "yy", "features": ["a"]}, "column_not_found"),
        (GOOD, {"label": "y", "features": ["aa*"]}, "column_not_found"),
        (GOOD, {"label": "y"}, "non_numeric_feature"),
        (GOOD, {"label": "y", "features": ["a", "y"]}, "column_twice"),
        (GOOD, {"label": "y", "features": ["a"], "weight": "s"}, "column_type"),
        (GOOD, {"label": "y", "features": ["a"], "task": "ranking"}, "invalid_param"),
        (GOOD, {"label": "s", "features": ["a"]}, "one_class"),
        (GOOD, {"label": "y", "features": ["a"], "memory_per_task": "10"}, "memory_too_small"),
        ("SELECT 1 AS a, 2 AS A, 3 AS y", {"label": "y"}, "duplicate_columns"),
        ("SELECT id AS a, id % 2 AS y FROM range(0)", {"label": "y"}, "empty_data"),
        (
            "SELECT id AS a, IF(id < 5, NULL, id % 2) AS y FROM range(9)",
            {"label": "y"},
            "label_null",
        ),
        ("SELECT id AS a, double(id % 2) / 0 AS y FROM range(9)", {"label": "y"}, "label_null"),
        (
            "SELECT id AS a, id % 2 AS y, id - 3 AS w FROM range(9)",
            {"label": "y", "weight": "w"},
            "weight_negative",
        ),
        (
            "SELECT id AS a, id % 2 AS y, 0 AS w FROM range(9)",
            {"label": "y", "weight": "w"},
            "weight_zero",
        ),
        (
            "SELECT id AS a, id % 2 AS y, IF(id = 3, NULL, 1) AS w FROM range(9)",
            {"label": "y", "weight": "w"},
            "weight_null",
        ),
        (
            "SELECT id AS a, id % 2 AS y, IF(id = 3, double('Infinity'), 1) AS w FROM range(9)",
            {"label": "y", "weight": "w"},
            "weight_infinite",
        ),
        (
            "SELECT id AS a, IF(id = 3, double('Infinity'), id) AS y FROM range(9)",
            {"label": "y", "task": "regression"},
            "label_infinite",
        ),
        (
            "SELECT id AS a, date'2024-02-29' AS b, id % 2 AS y FROM range(9)",
            {"label": "y", "categorical": ["b"]},
            "column_type",
        ),
        (
            "SELECT IF(id = 7, double('Infinity'), id) AS a, id % 2 AS y FROM range(9)",
            {"label": "y"},
            "infinite_feature",
        ),
        (
            "SELECT 1e300 * (id + 1) AS a, id % 2 AS y FROM range(9)",
            {"label": "y"},
            "infinite_feature",
        ),
        (
            "SELECT sequence(0, id % 3) AS a, id % 2 AS y FROM range(9)",
            {"label": "y"},
            "vector_length",
        ),
        (
            # Beyond the sample that is looked at before: found when it is written.
            "SELECT IF(id = 2900, array(1), array(1, 2)) AS a, id % 2 AS y FROM range(3000)",
            {"label": "y"},
            "vector_length",
        ),
        (
            "SELECT IF(id = 3, NULL, array(1)) AS a, id % 2 AS y FROM range(9)",
            {"label": "y"},
            "null_vector",
        ),
        (
            "SELECT id AS a, map(1, 2) AS m, id % 2 AS y FROM range(9)",
            {"label": "y"},
            "non_numeric_feature",
        ),
        ("SELECT id AS a, date('2020-01-01') AS y FROM range(9)", {"label": "y"}, "column_type"),
        ("SELECT id AS _key, id % 2 AS y FROM range(9)", {"label": "y"}, "column_name"),
        ("SELECT id % 2 AS y FROM range(9)", {"label": "y"}, "no_features"),
        ("SELECT id AS a, id AS y FROM range(20000)", {"label": "y"}, "too_many_classes"),
        (
            "SELECT concat('k', id) AS a, id % 2 AS y FROM range(10001)",
            {"label": "y", "categorical": ["a"]},
            "too_many_categories",
        ),
    ],
)
def test_refusals_leave_nothing_behind(spark, tmp_path, sql, arguments, code):
    spark.conf.set("spark.sql.ansi.enabled", "false")
    with pytest.raises(SparkMLDistError) as caught:
        partition(spark.sql(sql), tmp_path / "d", **arguments)
    assert caught.value.code == code, caught.value
    assert not (tmp_path / "d").exists()


def test_misspelt_columns_are_suggested(spark, tmp_path):
    with pytest.raises(DataError, match="Did you mean 'amount'"):
        partition(spark.sql("SELECT 1 AS amount, 2 AS y"), tmp_path, label="y", features=["amuont"])


def test_an_existing_data_set_is_kept_unless_told(spark, tmp_path):
    frame = spark.range(30).selectExpr("id AS x", "id % 2 AS y")
    first = partition(frame, tmp_path / "d", label="y", shards=1)
    with pytest.raises(StorageError, match="output_exists"):
        partition(frame, tmp_path / "d", label="y", shards=2)
    with pytest.raises(DataError):
        partition(frame.limit(0), tmp_path / "d", label="y", overwrite=True)
    assert open_partitioned(tmp_path / "d") == first
    first.verify()
    second = partition(frame, tmp_path / "d", label="y", shards=2, overwrite=True)
    assert len(open_partitioned(tmp_path / "d").shards) == 2
    second.verify()
    assert len(list((tmp_path / "d").glob("shards-*"))) == 1


def test_a_folder_of_something_else_is_never_overwritten(spark, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    frame = spark.range(30).selectExpr("id AS x", "id % 2 AS y")
    with pytest.raises(StorageError, match="output_exists"):
        partition(frame, tmp_path, label="y", overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_categories_unseen_when_scoring_are_missing_values():
    import pyarrow as pa

    from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema

    schema = FeatureSchema.build(
        [FeatureColumn("c", "categorical", categories=("a", "b"))], sparse=False
    )
    encoded = schema.encode([pa.array(["b", "z", None, "a"])])
    assert np.array_equal(encoded[:, 0], [1, np.nan, np.nan, 0], equal_nan=True)


def test_shards_and_memory_exclude_each_other(spark, tmp_path):
    frame = spark.range(30).selectExpr("id AS x", "id % 2 AS y")
    with pytest.raises(ConfigurationError, match="conflicting_params"):
        partition(frame, tmp_path / "d", label="y", shards=2, memory_per_task="1g")


def test_data_that_changes_while_it_is_read(spark, tmp_path):
    reads = tmp_path / "reads"
    reads.mkdir()

    def growing(batches):
        import tempfile

        import pyarrow as pa

        for _ in batches:
            pass
        tempfile.mkstemp(dir=reads)
        rows = 100 + len(list(reads.iterdir()))
        yield pa.RecordBatch.from_pydict({"x": np.arange(float(rows)), "y": np.arange(rows) % 2})

    frame = spark.range(1).coalesce(1).mapInArrow(growing, "x double, y long")
    with pytest.raises(DataError, match="cache it or write it to files first") as caught:
        partition(frame, tmp_path / "d", label="y", shards=2)
    assert caught.value.code == "rows_changed"
    assert not (tmp_path / "d").exists()


def test_a_spark_that_joins_partitions_is_told(spark, tmp_path, monkeypatch):
    frame = spark.range(100).selectExpr("id AS x", "id % 2 AS y")
    kind = type(frame)
    placed = kind.repartitionById
    monkeypatch.setattr(
        kind, "repartitionById", lambda self, n, column: placed(self, n, column).coalesce(1)
    )
    with pytest.raises(SparkMLDistError) as caught:
        partition(frame, tmp_path / "d", label="y", shards=3)
    assert caught.value.code == "shards_lost"
    assert not (tmp_path / "d" / "manifest.json").exists()
