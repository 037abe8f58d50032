"""The compiled path against the plain one, and when it is used."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import BaggingClassifier, VotingClassifier, load_model, partition
from sparkml_dist.ensemble.bagging import BaggingRegressor
from sparkml_dist.ensemble.combiner import Combiner
from sparkml_dist.ensemble.compiled.compiled import (
    COMPILED,
    Compilation,
    CompiledScorer,
    choose_scorer,
)
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.scoring import loaded
from tests.ensemble.onnx_models import LETTERS, SCHEMA, WIDTH, combiner, data, needs

needs("onnx", "skl2onnx", "onnxruntime")

NAMES = [f"f{i}" for i in range(WIDTH)]


@pytest.fixture(scope="module")
def frame(spark):
    X, y, target = data(900)
    table = pd.DataFrame(X, columns=NAMES)
    table["target"] = target
    table["label"] = np.array(LETTERS.classes)[y]
    return spark.createDataFrame(table)


@pytest.fixture(scope="module")
def shards(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "d"
    return partition(frame.drop("target"), path, label="label", shards=2)


@pytest.fixture(scope="module")
def saved(shards, tmp_path_factory):
    """A compiled model at rest."""
    model = BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=6, max_features=3),
        numMembers=5,
        method="patches",
    ).fit(shards)
    record = model.compile(shards)
    path = str(tmp_path_factory.mktemp("model") / "m")
    model.save(path)
    return path, record


def scores(model, frame):
    rows = model.transform(frame).select("predictedLabel", "probability").collect()
    return [r[0] for r in rows], np.array([r[1].toArray() for r in rows])


def test_compiled_and_plain_agree(saved, frame):
    path, record = saved
    assert record["refused"] == "" and record["rows"] > 400
    assert record["share_different"] == 0 and record["max_difference"] < 1e-6
    assert record["share_equal_predictions"] > 0.99
    model = load_model(path)
    assert COMPILED in [f.name for f in model.files]
    compiled = model.copy().setCompiled("always")
    assert isinstance(compiled._scorer(), CompiledScorer)
    plain = model.copy().setCompiled("never")
    assert isinstance(plain._scorer(), Combiner)
    labels, probability = scores(compiled, frame)
    expected_labels, expected = scores(plain, frame)
    assert np.abs(probability - expected).max() < 1e-5
    assert np.mean(np.array(labels) == np.array(expected_labels)) > 0.99
    # In float32 some sums are rounded otherwise: both ways did run.
    assert not np.array_equal(probability, expected)
    assert compiled.stagedAccuracy(frame) == plain.stagedAccuracy(frame)


def test_a_regression_compares_on_a_data_frame(frame):
    model = BaggingRegressor(
        estimator=DecisionTreeRegressor(max_depth=6),
        numMembers=3,
        labelCol="target",
        featuresCols=NAMES,
        numShards=2,
    ).fit(frame)
    record = model.compile(frame)
    assert record["rows"] == 900 and record["refused"] == ""
    expected = [
        r[0] for r in model.setCompiled("never").transform(frame).select("prediction").collect()
    ]
    found = [
        r[0] for r in model.setCompiled("always").transform(frame).select("prediction").collect()
    ]
    assert np.allclose(found, expected, rtol=1e-5) and found != expected


@pytest.mark.modes
def test_without_data_rows_around_the_thresholds_are_made_up(shards, frame):
    model = VotingClassifier(
        estimators=[
            ("boosting", HistGradientBoostingClassifier(max_iter=5)),
            ("linear", LogisticRegression()),
        ],
        weights=[2.0, 1.0],
    ).fit(shards)
    record = model.compile()
    assert record["rows"] == 4096 and record["refused"] == ""
    _, expected = scores(model.setCompiled("never"), frame)
    _, found = scores(model.setCompiled("always"), frame)
    assert np.abs(found - expected).max() < 1e-5


def test_an_altered_file_is_refused(saved, frame, tmp_path):
    path, _ = saved
    model = load_model(path)
    model.save(str(tmp_path / "m"))
    model = load_model(str(tmp_path / "m")).setCompiled("always")
    content = bytearray((tmp_path / "m" / COMPILED).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "m" / COMPILED).write_bytes(content)
    with pytest.raises(StorageError, match="does not match its manifest"):
        model._scorer().load()
    with pytest.raises(StorageError) as caught:
        load_model(str(tmp_path / "m"))
    assert caught.value.code == "file_altered" and COMPILED in caught.value.message


def test_it_is_built_again_in_place(saved, tmp_path):
    model = load_model(saved[0])
    model.save(str(tmp_path / "m"))
    again = load_model(str(tmp_path / "m"))
    assert again.compile()["sha256"] == saved[1]["sha256"]
    assert [f.name for f in again.files].count(COMPILED) == 1
    assert load_model(str(tmp_path / "m")).content["compiled"]["rows"] == 4096


# -- without Spark ---------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    return combiner(tmp_path, [DecisionTreeClassifier(max_depth=5) for _ in range(3)])


def built(scorer):
    work = Compilation("Model", scorer, LETTERS, SCHEMA, scorer.bank.folder, None)
    return {**work(0), "refused": "", "speedup": 2.0}


def test_when_the_compiled_path_is_used(made):
    record = built(made)
    folder = made.bank.folder

    def chosen(mode, record):
        return isinstance(choose_scorer(made, LETTERS, folder, record, mode), CompiledScorer)

    assert not chosen("auto", None) and not chosen("never", record)
    assert chosen("auto", record) and chosen("always", record)
    slower = {**record, "speedup": 0.9}
    assert not chosen("auto", slower) and chosen("always", slower)
    assert not chosen("auto", {**record, "refused": "it differs"})
    with pytest.raises(ConfigurationError, match="no compiled form: it differs"):
        chosen("always", {**record, "refused": "it differs"})
    with pytest.raises(ConfigurationError, match="it was not compiled"):
        chosen("always", None)
    with pytest.raises(ConfigurationError, match="compiled must be 'auto', 'never' or 'always'"):
        chosen("sometimes", record)


def test_caches_tell_them_apart(made):
    compiled = choose_scorer(made, LETTERS, made.bank.folder, built(made), "always")
    assert compiled.cache_key != made.cache_key
    assert compiled.raw_scale == made.raw_scale
    plain = loaded(made.cache_key, made.load)
    assert loaded(compiled.cache_key, compiled.load) is not plain
    assert loaded(made.cache_key, made.load) is plain


def test_a_graph_that_leads_nowhere_is_a_clear_error(made):
    import onnx

    record = built(made)
    folder = made.bank.folder
    honest = folder.read_bytes(record["file"])

    def scored(change):
        graph = onnx.load_from_string(honest)
        change(graph.graph)
        content = graph.SerializeToString()
        folder.write_bytes(record["file"], content)
        altered = {**record, "sha256": hashlib.sha256(content).hexdigest()}
        scorer = choose_scorer(made, LETTERS, folder, altered, "always")
        return scorer.load()(data()[0])

    def node(name, value):
        def change(graph):
            tree = next(n for n in graph.node if n.op_type == "TreeEnsembleRegressor")
            found = next(a for a in tree.attribute if a.name == name)
            found.ints[0] = value

        return change

    def elsewhere(graph):
        constant = graph.initializer[0]
        constant.data_location = onnx.TensorProto.EXTERNAL
        constant.ClearField("raw_data")
        constant.external_data.add(key="location", value="secret.bin")

    assert scored(lambda graph: None).shape[1] == len(LETTERS.classes)
    for change in (
        node("nodes_truenodeids", 10**6),
        node("nodes_falsenodeids", 0),
        node("target_ids", 10**6),
        elsewhere,
    ):
        with pytest.raises(StorageError, match="compiled_not_loaded"):
            scored(change)


def test_without_onnxruntime_the_plain_path_is_taken(made, monkeypatch, caplog):
    compiled = choose_scorer(made, LETTERS, made.bank.folder, built(made), "always")
    monkeypatch.setattr("sparkml_dist.ensemble.compiled.compiled.has_onnxruntime", lambda: False)
    X = data()[0]
    with caplog.at_level(logging.INFO):
        assert np.array_equal(compiled.load()(X), made.load()(X))
    assert "ONNX Runtime is not installed here" in caplog.text


def test_missing_values_are_refused_as_ever(tmp_path):
    made = combiner(tmp_path, [LogisticRegression()], plain=True)
    compiled = choose_scorer(made, LETTERS, made.bank.folder, built(made), "always")
    X = data(missing=True)[0]
    for scorer in (made, compiled):
        with pytest.raises(DataError, match="missing values in f0") as caught:
            scorer.load()(X)
        assert caught.value.code == "missing_values"


def test_sparse_blocks(made):
    import scipy.sparse as sp

    compiled = choose_scorer(made, LETTERS, made.bank.folder, built(made), "always")
    X = data()[0]
    X[X < 0.5] = 0.0
    expected = made.load()(X)
    assert np.allclose(compiled.load()(sp.csr_matrix(X)), expected, atol=1e-6)
    assert compiled.load()(sp.csr_matrix(X[:0])).shape == (0, 3)


class _Shifted(Combiner):
    """A model whose graph is not quite what it predicts."""

    def load(self):
        right = super().load()
        return lambda X: right(X) + 2e-5 * (X[:, :1] > 0)


def test_one_that_differs_is_not_used(spark, shards, caplog, monkeypatch):
    model = BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=3), numMembers=2).fit(
        shards
    )
    scorer = _Shifted(model._bank(), "soft")
    monkeypatch.setattr(model, "_plain_scorer", lambda: scorer)
    with caplog.at_level(logging.WARNING):
        record = model.compile(shards)
    assert "rows are further apart than 1e-05" in record["refused"]
    assert 0.3 < record["share_different"] < 0.7
    assert "the compiled model is not used" in caplog.text
    assert not model.folder.exists(COMPILED)
    assert model._scorer() is scorer
    assert COMPILED not in [f.name for f in load_model(model.folder.location).files]
