"""The estimator, the classifier and the model, on Spark."""

import gzip

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.graphical.scores import Score
from tests.graphical.networks import counted, table_of
from tests.long import cases

KEPT = {"estimation": "maximum-likelihood", "numRestarts": 0, "tabuLength": 0}


@pytest.fixture(scope="module")
def pets():
    """A small table with strings, numbers, booleans and, in a copy, gaps."""
    rng = np.random.default_rng(0)
    n = 240
    size = rng.integers(1, 4, n)
    kind = np.where(rng.random(n) < 0.8, np.array(["", "cat", "dog", "cow"])[size], "bee")
    loud = np.where(kind == "dog", rng.random(n) < 0.9, rng.random(n) < 0.2)
    return pd.DataFrame({"kind": kind, "size": size.astype(float), "loud": loud})


@pytest.fixture(scope="module")
def table(spark, pets):
    return spark.createDataFrame(pets).cache()


@pytest.fixture(scope="module")
def model(table):
    return sd.BayesianNetwork(**KEPT).fit(table)


def test_a_fit_is_that_of_the_rows_in_memory(model, pets):
    texts = pets.assign(size=pets["size"].astype(int)).astype(str)
    texts["loud"] = texts["loud"].str.lower()
    counts = counted(texts)
    assert model.variables["size"] == ["1", "2", "3"]
    assert model.variables["loud"] == ["false", "true"]
    names = model.network.names
    graph = tuple(
        tuple(sorted(names.index(a) for a, b in model.arcs if b == child)) for child in names
    )
    assert {frozenset(arc) for arc in model.arcs} == {
        frozenset(p) for p in (("kind", "size"), ("kind", "loud"))
    }
    assert model.summary["score"] == pytest.approx(Score("bic", 240).network(counts, graph))
    assert model.summary["passes"] <= 2


@pytest.mark.modes
def test_partitions_change_nothing(table):
    """In every kind of Spark, and from one to eight partitions."""
    settings = {"structure": "chow-liu", "targetCol": "kind"}
    models = [sd.BayesianNetwork(**settings).fit(table.repartition(n)) for n in (1, 3, 8)]
    assert len({tuple(m.network.flat_tables()) for m in models}) == 1
    assert len({m.summary["score"] for m in models}) == 1
    assert models[0].arcs == [("kind", "size"), ("kind", "loud")]


def test_shards_are_counted_too(spark, table, tmp_path):
    data = sd.partition(
        table, str(tmp_path / "s"), label="kind", categorical=["size", "loud"], shards=3
    )
    sharded = sd.BayesianNetwork(**KEPT).fit(data)
    whole = sd.BayesianNetwork(**KEPT).fit(table.select("size", "loud", "kind"))
    assert sharded.arcs == whole.arcs
    assert (sharded.network.flat_tables() == whole.network.flat_tables()).all()
    numbers = sd.partition(
        table.drop("kind"), str(tmp_path / "n"), label="loud", shards=1, overwrite=True
    )
    with pytest.raises(DataError, match="'size'.*holds numbers"):
        sd.BayesianNetwork().fit(numbers)


def test_rows_are_scored_filled_and_predicted(spark, model, pets):
    holes = pets.astype(object).where(np.random.default_rng(1).random(pets.shape) < 0.8, None)
    holes = holes.head(40)
    frame = spark.createDataFrame(holes, "kind string, size double, loud boolean")
    scored = model.transform(frame).toPandas()
    filled = model.fill(frame).toPandas()
    predicted = model.predict(frame.drop("kind"), "kind").toPandas()
    assert list(filled.columns) == list(holes) and filled.notna().all().all()
    for i, row in enumerate(holes.itertuples(index=False)):
        known = {
            name: "true" if value is True else "false" if value is False else value
            for name, value in zip(holes, row, strict=True)
            if value is not None and value == value
        }
        known = {k: str(int(v)) if k == "size" else v for k, v in known.items()}
        expected = model.probability(known)
        assert np.exp(scored["logLikelihood"][i]) == pytest.approx(expected)
        rest = {k: v for k, v in known.items() if k != "kind"}
        assert predicted["probability"][i] == pytest.approx(model.query(["kind"], rest))
        if "kind" not in known:
            best = model.variables["kind"][int(model.query(["kind"], rest).argmax())]
            assert filled["kind"][i] == best
    kept = holes["size"].notna()
    assert (filled["size"][kept] == holes["size"][kept]).all()


def test_samples_do_not_depend_on_partitions(spark, model):
    first = model.sample(5000, seed=3).toPandas()
    assert len(first) == 5000 and set(first["kind"]) == set(model.variables["kind"])
    share = (first["kind"] == "bee").mean()
    assert share == pytest.approx(model.marginals()["kind"]["bee"], abs=0.04)
    assert sorted(map(tuple, first.to_numpy())) == sorted(
        map(tuple, model.sample(5000, seed=3).coalesce(1).toPandas().to_numpy())
    )
    assert model.sample(0).count() == 0


def test_a_saved_network_that_was_altered_is_refused(model, tmp_path):
    model.save(str(tmp_path / "m"))
    assert sd.load_model(str(tmp_path / "m")).arcs == model.arcs
    (tmp_path / "m" / "tables.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(StorageError):
        sd.load_model(str(tmp_path / "m"))


def test_pictures(model, tmp_path):
    for name in ("n.png", "n.svg", "n.pdf"):
        model.plot(f"{tmp_path}/{name}")
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ConfigurationError, match="format"):
        model.plot(f"{tmp_path}/n.txt")


@pytest.mark.parametrize("alpha", cases([1.0, 0.1], [1.0]))
def test_naive_bayes_is_scikit_learns(spark, alpha, pets):
    from sklearn.naive_bayes import CategoricalNB

    frame = pets.assign(label=pets["kind"]).drop(columns="kind")
    table = spark.createDataFrame(frame)
    model = sd.BayesianNetworkClassifier(structure="naive-bayes", smoothing=alpha, numShards=3).fit(
        table
    )
    codes = np.stack([frame["size"].astype(int) - 1, frame["loud"].astype(int)], axis=1)
    peer = CategoricalNB(alpha=alpha, min_categories=[3, 2]).fit(codes, frame["label"])
    found = model.transform(table).toPandas()
    local = pd.DataFrame({"size": found["size"], "loud": found["loud"]})
    order = np.stack([local["size"].astype(int) - 1, local["loud"].astype(int)], axis=1)
    shares = np.stack([p.toArray() for p in found["probability"]])
    assert model.classes == list(peer.classes_)
    assert shares == pytest.approx(peer.predict_proba(order), abs=1e-6)  # rows are float32
    assert (found["predictedLabel"] == peer.predict(order)).all()


def test_a_classifier_sums_over_what_it_does_not_know(spark, pets):
    frame = pets.assign(label=pets["kind"]).drop(columns="kind")
    model = sd.BayesianNetworkClassifier(numShards=1).fit(spark.createDataFrame(frame))
    network = model.to_network()
    rows = [(7.0, None), (2.0, True), (None, None)]
    scored = model.transform(spark.createDataFrame(rows, "size double, loud boolean")).collect()
    given = [{}, {"size": "2", "loud": "true"}, {}]
    for row, known in zip(scored, given, strict=True):
        assert row.probability.toArray() == pytest.approx(network.query(["label"], known), abs=1e-6)


@pytest.mark.long
def test_trees_of_the_labelled_libsvm_file(spark, shared_data, tmp_path):
    """adult: 123 features of 0 and 1, and the label."""
    from sparkml_dist.cli.graphical import _spread
    from sparkml_dist.tables.read import read_table

    df, names = _spread(read_table(spark, str(shared_data / "adult.svm")))
    model = sd.BayesianNetwork(structure="chow-liu").fit(df)
    assert len(names) == 123 and len(model.arcs) == 123
    assert abs(model.summary["mutual_information"] - 7.44349234) < 1e-8


@pytest.mark.long
def test_alarm_end_to_end(spark, shared_data):
    rows = table_of(shared_data / "alarm.csv.gz")
    table = spark.createDataFrame(rows).repartition(3)
    found = sd.BayesianNetwork(estimation="maximum-likelihood").fit(table)
    assert found.summary["score"] >= -219975.17 and found.summary["passes"] <= 12
    true = sd.read_network(shared_data / "alarm.bif.gz")
    assert gzip.decompress((shared_data / "alarm.bif.gz").read_bytes()).count(b"variable") == 37
    assert len(true.arcs) == 46


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"featuresCols": ["kind", "sise"]}, "column_not_found"),
        ({"structure": "tan"}, "invalid_param"),
        ({"targetCol": "sise"}, "unknown_variable"),
        ({"whiteList": [("kind", "size"), ("size", "kind")]}, "cycle"),
        ({"blackList": [("kind", "sise")]}, "unknown_variable"),
        ({"handleInvalid": "drop"}, "invalid_param"),
        ({"estimation": "ml"}, "invalid_param"),
        ({"numBootstraps": -1}, "invalid_param"),
    ],
)
def test_refused_before_the_first_job(table, settings, code):
    with pytest.raises((ConfigurationError, DataError)) as caught:
        sd.BayesianNetwork(**settings).fit(table)
    assert caught.value.code == code and caught.value.hint


def test_columns_that_hold_no_categories(spark, table):
    with pytest.raises(DataError) as caught:
        sd.BayesianNetwork().fit(table.selectExpr("kind", "array(size) AS sizes"))
    assert caught.value.code == "column_type"
    with pytest.raises(ConfigurationError) as caught:
        sd.BayesianNetwork(whiteList=["ab"])
    assert caught.value.code == "invalid_param"
    many = spark.range(10_050).selectExpr("cast(id AS string) AS a", "id % 2 AS b")
    with pytest.raises(DataError) as caught:
        sd.BayesianNetwork().fit(many)
    assert caught.value.code == "too_many_categories"
    pair = spark.range(9000).selectExpr("id AS a", "id + 1 AS b")
    with pytest.raises(DataError, match=r"324,000,000 cells") as caught:
        sd.BayesianNetwork(structure="chow-liu").fit(pair)
    assert caught.value.code == "too_many_cells"
    with pytest.raises(DataError) as caught:
        sd.BayesianNetwork().fit(table.where("size > 9"))
    assert caught.value.code == "empty_data"
    with pytest.raises(DataError) as caught:
        sd.BayesianNetwork().fit(table.selectExpr("kind", "cast(null AS string) AS gap"))
    assert caught.value.code == "missing_values"


def test_a_network_of_numbers(spark, tmp_path):
    rng = np.random.default_rng(0)
    a = rng.normal(1e6, 1, 500)
    frame = pd.DataFrame({"a": a, "b": 2 * (a - 1e6) + rng.normal(0, 1, 500)})
    table = spark.createDataFrame(frame)
    model = sd.GaussianNetwork().fit(table.repartition(3))
    assert {frozenset(arc) for arc in model.arcs} == {frozenset("ab")}
    _, covariance = model.query(["a", "b"])
    assert covariance == pytest.approx(np.cov(frame.T, bias=True), rel=1e-9)
    mean, _ = model.query(["b"], {"a": 1e6 + 1})
    slope, intercept = np.polyfit(a - 1e6, frame["b"], 1)
    assert mean[0] == pytest.approx(intercept + slope, rel=1e-6)
    holes = table.selectExpr("a", "IF(b > 0, b, null) AS b")
    filled, scored = model.fill(holes).toPandas(), model.transform(table).toPandas()
    assert filled.notna().all().all() and np.isfinite(scored["logLikelihood"]).all()
    drawn = model.do({"a": 1e6}).sample(300, seed=1).toPandas()
    assert (drawn["a"] == 1e6).all()
    with pytest.raises(DataError) as caught:
        sd.GaussianNetwork().fit(holes)
    assert caught.value.code == "missing_values"
    assert 0 < sd.GaussianNetwork(handleInvalid="skip").fit(holes).summary["skipped"] < 500
    with pytest.raises(DataError) as caught:
        sd.GaussianNetwork().fit(table.selectExpr("a", "1.5D AS c"))
    assert caught.value.code == "constant_feature"


def test_a_classifier_refuses_weights(table):
    with pytest.raises(ConfigurationError) as caught:
        sd.BayesianNetworkClassifier(labelCol="kind", weightCol="size").fit(table)
    assert caught.value.code == "option_not_used"
