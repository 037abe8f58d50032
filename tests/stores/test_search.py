"""A search whose folder is in a store: killed and resumed, it repeats no trial."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from tests.search import killed_driver
from tests.stores.faulty_proxy import Fault, FaultyProxy
from tests.stores.server import REASON, SERVER, Store

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason=REASON)


@pytest.fixture(scope="module")
def store():
    found = Store()
    yield found
    found.close()


@pytest.fixture(scope="module")
def proxy(store):
    found = FaultyProxy(store.port)
    yield found
    found.close()


@pytest.fixture(scope="module")
def data(spark, store):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=900), "label": rng.integers(0, 2, 900)})
    return sd.partition(spark.createDataFrame(rows), store.uri("rows"), label="label", shards=3)


def committed(store, name):
    """Contents of the results of whole rungs, by name."""
    found = {}
    for path in store.names(f"{name}/trials"):
        if "-members-" not in path:
            found[path] = store.fs.open_input_stream(path).read()
    return found


@pytest.mark.parametrize("fault", [None, Fault("lag", 600)], ids=["well", "a listing that lags"])
def test_a_killed_search_repeats_no_trial(store, proxy, data, tmp_path, fault):
    name = "search-well" if fault is None else "search-lag"
    where = store.uri(name, proxy.port)
    proxy.fault = fault
    try:
        killed_driver.kill_after(
            lambda: len(committed(store, name)), data.location, where, str(tmp_path)
        )
        before, fits = committed(store, name), len(list(tmp_path.iterdir()))
        assert len(before) >= 4
        found = killed_driver.search(where, str(tmp_path)).fit(data)
    finally:
        proxy.fault = None
    assert fault is None or fault.met
    after = committed(store, name)
    assert {k: after[k] for k in before} == before  # nothing is written again
    assert found.summary["results_kept"] == len(before)
    fresh = [json.loads(after[k]) for k in after if k not in before]
    assert len(list(tmp_path.iterdir())) - fits == sum(r["fits"] for r in fresh)
    rows = found.trialsTable()
    assert [row["number"] for row in rows] == list(range(10))
    assert {row["state"] for row in rows} == {"done"}
    # A search that had ended fits nothing.
    again = killed_driver.search(where, str(tmp_path)).fit(data)
    assert len(list(tmp_path.iterdir())) - fits == sum(r["fits"] for r in fresh)
    assert again.bestTrial == found.bestTrial and again.trialsTable() == rows
