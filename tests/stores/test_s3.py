"""What reads and writes an S3-compatible store: moto's server, where `make test-stores` put it."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.parquet import read_written, write_parquet
from sparkml_dist.tables.read import read_table
from tests.examples import ROOT
from tests.stores.server import REASON, SERVER, Store

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason=REASON)


@pytest.fixture(scope="module")
def store():
    found = Store()
    yield found
    found.close()


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(400, 3)), columns=["a", "b", "c"])
    return rows.assign(label=np.where(rows.a > rows.b, "up", "down"))


@pytest.fixture(scope="module")
def data(store, spark, rows):
    return sd.partition(spark.createDataFrame(rows), store.uri("data"), label="label", shards=3)


@pytest.fixture(scope="module")
def model(store, data):
    trees = DecisionTreeClassifier(max_depth=4, random_state=0)
    return sd.BaggingClassifier(
        estimator=trees, numMembers=4, modelDir=store.uri("fits/model")
    ).fit(data)


def test_shards_fits_models_and_a_resumed_fit(store, spark, rows, data, model):
    assert len(sd.dataset.open_partitioned(store.uri("data")).shards) == 3
    assert any(n.startswith("bucket/data/shards-") for n in store.names("data"))
    assert all("?" not in n and "endpoint" not in n for n in store.names(""))
    model.save(store.uri("models/one"))
    again = sd.load_model(store.uri("models/one"))
    assert np.array_equal(again.to_sklearn().predict(rows), model.to_sklearn().predict(rows))
    lost = next(n for n in store.names("fits/model") if n.endswith(".skops"))
    store.fs.delete_file(lost)
    store.fs.delete_file("bucket/fits/model/manifest.json")
    grown = model_again(store).setParams(resume=True).fit(data)
    assert grown.numMembers == 4 and lost in store.names("fits/model")


def model_again(store):
    return sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=4, random_state=0),
        numMembers=4,
        modelDir=store.uri("fits/model"),
    )


def test_files_are_scored_from_a_store_to_a_store(store, model, rows):
    for part in range(3):
        place = f"bucket/in/day={part}/part-{part}.parquet"
        store.fs.create_dir(f"bucket/in/day={part}", recursive=True)
        pq.write_table(pa.table(rows[part::3].reset_index(drop=True)), place, filesystem=store.fs)
    found = model.score_files(store.uri("in"), store.uri("out"))
    assert found.rows == 400 and found.files == 3
    scored = pq.read_table("bucket/out", filesystem=store.fs)
    assert {"a", "b", "c", "label", "prediction", "probability", "predictedLabel", "day"} <= set(
        scored.column_names
    )
    assert not store.names(".out.next")
    local = model.to_sklearn().predict(scored.select(["a", "b", "c"]).to_pandas())
    assert scored.column("predictedLabel").to_pylist() == local.tolist()


def test_tables_of_itemsets_need_no_connector(store, spark, rows):
    table = spark.createDataFrame(rows.assign(basket=[["x", "y"]] * 400))
    model = sd.FrequentItemsets(minSupport=0.1, itemsCol="basket").fit(table)
    model.save(store.uri("sets"))
    again = sd.load_model(store.uri("sets"))
    assert again.numItemsets == 3
    assert sorted(r["items"] for r in again.itemsets.collect()) == [["x"], ["x", "y"], ["y"]]


def test_written_tables_are_read_by_what_success_names(store, spark, rows):
    from pyspark.ml.feature import VectorAssembler

    df = spark.createDataFrame(rows).selectExpr("*", "timestamp'2026-01-01 12:00:00' AS at")
    df = VectorAssembler(inputCols=["a", "b"], outputCol="v").transform(df).repartition(3)
    folder = Folder.at(store.uri("written"))
    written = write_parquet(df, folder)
    assert len(written.names) == 3
    folder.write_bytes("part-99999.parquet", b"a task that was given up")
    again = read_written(spark, folder)
    assert again.schema == df.schema
    assert sorted(map(str, again.collect())) == sorted(map(str, df.collect()))
    nothing = Folder.at(store.uri("nothing"))
    write_parquet(df.where("a > 1e9"), nothing)
    assert read_written(spark, nothing).count() == 0
    folder.delete_file("_SUCCESS")
    with pytest.raises(StorageError, match="There is no file"):
        read_written(spark, folder)


def test_what_needs_a_connector_of_spark_says_so(store, spark, data):
    with pytest.raises(StorageError) as caught:
        read_table(spark, store.uri("in"), format="parquet")
    assert caught.value.code == "connector_missing" and "spark.jars.packages" in caught.value.hint
    stage = SparkLogisticRegression()
    tree = DecisionTreeClassifier(max_depth=2)
    stack = sd.StackingClassifier(estimators=[("tree", tree), ("spark", stage)])
    with pytest.raises(StorageError) as caught:
        stack.save(store.uri("stack"))
    assert caught.value.code == "connector_missing" and "Spark cannot write" in caught.value.message
    assert not Folder.at(store.uri("stack")).exists("manifest.json")


def test_a_job_writes_to_a_store(store, tmp_path, rows):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    job = [
        *("spark-submit", "--properties-file", ROOT / "spark-defaults.conf"),
        ROOT / "jobs" / "train_ensemble.py",
        *("--train", tmp_path / "rows.csv", "--members", "2", "--shards", "2"),
        *("--output", store.uri("job")),
    ]
    done = subprocess.run(job, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads(store.fs.open_input_stream("bucket/job/metrics.json").read())
    assert metrics["status"] == "ok" and metrics["metrics"]["accuracy"] > 0.8


def test_a_store_that_does_not_answer(store):
    gone = Store()
    gone.close()
    with pytest.raises(StorageError) as caught:
        Folder.at(gone.uri("x")).write_bytes("a", b"1")
    assert "127.0.0.1" in caught.value.message
