"""A store that fails, waits, cuts connections, or lists late: the work ends right, or says why.

What is half-written is never taken for whole, and the same call ends right once the store is well.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.parquet import read_written, write_parquet
from tests.stores.faulty_proxy import Fault, FaultyProxy, during
from tests.stores.server import REASON, SERVER, Store

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason=REASON)

#: Faults that pass: the result is the same as without them.
PASSING = {
    "an error 500": lambda: Fault("status", 500, times=1),
    "an error 503": lambda: Fault("status", 503, times=2, path="\\.(json|parquet|skops|npz)"),
    "a slow answer": lambda: Fault("slow", 5, times=1, path="(manifest|00000|plan)"),
    "a cut answer": lambda: Fault("cut", method="GET", times=1),
    "a cut request": lambda: Fault("cut", method="PUT|POST", times=1),
    "an answer that is lost": lambda: Fault("cut_after", method="PUT|POST|DELETE", times=1),
    "a listing that lags": lambda: Fault("lag", 30),
}
#: Faults that stay: an error with the place and the way on.
STAYING = {
    "errors 503": lambda: Fault("status", 503, path="\\.(json|parquet|skops|npz)"),
    "cut answers": lambda: Fault("cut", method="GET", path="\\.(json|parquet|skops|npz)"),
    "cut requests": lambda: Fault("cut", method="PUT|POST", path="\\.(json|parquet|skops|npz)"),
    "no permission": lambda: Fault("status", 403, path="\\.(json|parquet|skops|npz)"),
}
ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=["a", "b", "c"])
ROWS["label"] = np.where(ROWS.a > ROWS.b, "up", "down")


class Works:
    """The works that are tried; each in a folder of its own, through the proxy."""

    def __init__(self, spark, store, proxy):
        self.spark, self.store, self.proxy = spark, store, proxy
        self.df = spark.createDataFrame(ROWS)
        self.data = sd.partition(self.df, store.uri("data"), label="label", shards=2)
        self.model = self._estimator(store.uri("fits/first")).fit(self.data)
        self.model.save(store.uri("models/first"))
        self.expected = self.model.to_sklearn().predict(ROWS)
        store.fs.create_dir("bucket/in")
        for part in range(2):
            table = pa.table(ROWS[part::2].reset_index(drop=True))
            pq.write_table(table, f"bucket/in/part-{part}.parquet", filesystem=store.fs)

    def _estimator(self, place, **more):
        tree = DecisionTreeClassifier(max_depth=3, random_state=0)
        return sd.BaggingClassifier(estimator=tree, numMembers=3, modelDir=place, **more)

    def uri(self, name):
        return self.store.uri(name, self.proxy.port)

    def _same(self, model):
        assert np.array_equal(model.to_sklearn().predict(ROWS), self.expected)

    # -- each returns a function that works and one that checks --------------------------------

    def partition(self, name):
        where = self.uri(name)

        def check():
            found = sd.open_partitioned(where)
            found.verify()
            rows = [s.rows for s in found.shards]
            assert rows == [s.rows for s in self.data.shards]
            assert [s.sha256 for s in found.shards] == [s.sha256 for s in self.data.shards]

        more = {"label": "label", "shards": 2, "overwrite": True}
        return lambda: sd.partition(self.df, where, **more), check

    def fit(self, name):
        where = self.uri(name)
        data = sd.open_partitioned(self.uri("data"))
        estimator = self._estimator(where, overwrite=True)
        return lambda: self._same(estimator.fit(data)), lambda: self._same(sd.load_model(where))

    def resume(self, name):
        where = self.uri(name)
        self._estimator(where).fit(self.data)
        lost = sorted(n for n in self.store.names(name) if n.endswith(".skops"))[1]
        self.store.fs.delete_file(lost)
        self.store.fs.delete_file(f"bucket/{name}/manifest.json")
        data = sd.open_partitioned(self.uri("data"))
        again = self._estimator(where, resume=True)
        return lambda: self._same(again.fit(data)), lambda: self._same(sd.load_model(where))

    def save(self, name):
        where = self.uri(name)
        model = sd.load_model(self.store.uri("models/first"))
        return lambda: model.write().overwrite().save(where), lambda: self._same(
            sd.load_model(where)
        )

    def save_over(self, name):
        """A model is replaced: the old one is there until the new one is."""
        where = self.uri(name)
        self.model.save(where)
        return self.save(name)

    def load(self, name):
        where = self.uri("models/first")
        return lambda: self._same(sd.load_model(where)), lambda: None

    def score_files(self, name):
        where = self.uri(name)

        def check():
            scored = pq.read_table(f"bucket/{name}", filesystem=self.store.fs).to_pandas()
            assert len(scored) == len(ROWS)
            order = scored.sort_values(["a", "b"]).predictedLabel.to_list()
            assert order == list(self.expected[ROWS.sort_values(["a", "b"]).index])
            assert f"bucket/{name}/_scores.json" in self.store.names(name)

        score = self.model.score_files
        return lambda: score(self.uri("in"), where, overwrite=True, resume=True), check

    def checkpoints(self, name):
        home = CheckpointStore(Folder.at(self.uri(name)))

        def write():
            for step in (1, 2, 3):
                arrays = {"weights.npz": {"w": np.full(20_000, step)}}
                home.write(CheckpointId(1, step), arrays, {"step": step})
            home.prune(2)

        def check():
            assert [i.step for i in home.ids()] == [3, 2]
            found = home.read(home.ids()[0])
            found.verify("weights.npz")
            assert found.content == {"step": 3} and found.arrays("weights.npz")["w"][0] == 3

        return write, check

    def table(self, name):
        folder = Folder.at(self.uri(name))

        def check():
            rows = read_written(self.spark, folder).toPandas().sort_values(["a", "b"])
            assert rows.equals(ROWS.sort_values(["a", "b"]).set_index(rows.index))

        return lambda: write_parquet(self.df, folder), check


WORKS = ("partition", "fit", "resume", "save", "save_over", "load", "score_files")
WORKS += ("checkpoints", "table")


@pytest.fixture(scope="module")
def store():
    found = Store()
    yield found
    found.close()


@pytest.fixture(scope="module")
def works(spark, store):
    proxy = FaultyProxy(store.port)
    yield Works(spark, store, proxy)
    proxy.close()


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes(works, fault, name):
    work, check = getattr(works, name)(f"{name}-{list(PASSING).index(fault)}")
    found = PASSING[fault]()

    def both():
        work()
        if name not in ("load", "score_files"):
            check()  # while the listing lags

    during(works.proxy, found, both)
    check()
    unmet = found.kind == "lag" and name in ("load", "table")  # they list nothing
    unmet |= name == "load" and "GET" not in found.method
    if not unmet:
        assert found.met, "the fault was never met"


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays(works, fault, name):
    place = f"{name}-stays-{list(STAYING).index(fault)}"
    found = STAYING[fault]()
    if name == "load" and "GET" not in found.method:
        pytest.skip("a load writes nothing")
    if name == "table" and found.method == "GET":
        pytest.skip("a table is written without a read")
    work, check = getattr(works, name)(place)
    begun = time.monotonic()
    try:
        during(works.proxy, found, work)
    except sd.SparkMLDistError as error:
        assert isinstance(error, StorageError), error
        assert error.code in ("storage_failed", "no_permission", "member_failed"), error
        assert "s3://bucket/" in error.message and error.hint
    else:
        # Nothing was read, or written, that the fault is about.
        assert not found.met or fault == "cut answers"
    assert time.monotonic() - begun < 240
    assert found.met
    whole = {"manifest.json", "_SUCCESS", "_scores.json"}
    if name in ("partition", "fit", "save", "score_files", "table") and fault != "cut answers":
        assert not {n.rpartition("/")[2] for n in works.store.names(place)} & whole
    if name == "save_over":
        check()  # the old model
    work()
    check()
