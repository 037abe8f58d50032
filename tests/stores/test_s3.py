"""What reads and writes an S3-compatible store: moto's server, where `make test-stores` put it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs as pafs
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.tables.read import read_table
from tests.examples import ROOT

SERVER = ROOT / ".venv-stores" / "bin" / "moto_server"
REASON = "make test-stores installs the server of moto"
pytestmark = pytest.mark.skipif(not SERVER.exists(), reason=REASON)
if SERVER.exists():  # before the session starts, whose workers inherit them
    os.environ.update({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"})


class Store:
    """A server of its own, and the URIs of its bucket."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [SERVER, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        self.fs = pafs.S3FileSystem(
            access_key="key",
            secret_key="secret",
            scheme="http",
            endpoint_override=f"127.0.0.1:{self.port}",
            allow_bucket_creation=True,
        )
        self.fs.create_dir("bucket")

    def uri(self, name: str) -> str:
        host = f"127.0.0.1%3A{self.port}"
        return f"s3://bucket/{name}?scheme=http&endpoint_override={host}&region=us-east-1"

    def names(self, folder: str) -> list[str]:
        selector = pafs.FileSelector(f"bucket/{folder}", recursive=True, allow_not_found=True)
        return [i.path for i in self.fs.get_file_info(selector) if i.is_file]

    def close(self):
        self.process.kill()
        self.process.wait()


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


def test_what_needs_a_connector_of_spark_says_so(store, spark, rows):
    table = spark.createDataFrame(rows.assign(basket=[["x", "y"]] * 400))
    with pytest.raises(StorageError) as caught:
        sd.FrequentItemsets(minSupport=0.1, itemsCol="basket").fit(table).save(store.uri("sets"))
    assert caught.value.code == "connector_missing" and "spark.jars.packages" in caught.value.hint
    with pytest.raises(StorageError) as caught:
        read_table(spark, store.uri("in"), format="parquet")
    assert caught.value.code == "connector_missing"


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
