"""Every job with its output in an object store, from the command line to the files."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.persistence.filesystem import Folder
from tests.examples import ROOT
from tests.stores.server import REASON, SERVER, Store

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason=REASON)
TREE = "sklearn.tree.DecisionTreeClassifier"
SPACE = '{"max_depth": [1, 2]}'
TRAIN = ("--train", "rows.csv", "--label", "label", "--features", "a", "b", "--shards", "2")
POINTS = ("--input", "rows.csv", "--features", "a", "b")
STEPS = ("--transitions", "steps.csv", "--episode", "run", "--step", "t", "--state", "x")
STEPS += ("--action", "act", "--reward", "gain", "--terminated", "over", "--shards", "1")
#: Options of each job, and what it writes.
JOBS = {
    "train_ensemble": ((*TRAIN, "--members", "2"), "model/manifest.json"),
    "fit_glm": ((*TRAIN, "--family", "binomial"), "model/manifest.json"),
    "fit_kernel": ((*TRAIN, "--centers", "8"), "model/manifest.json"),
    "search": ((*TRAIN, "--estimator", TREE, "--space", SPACE), "model/manifest.json"),
    "train_federated": ((*TRAIN, "--silo", "kind", "--rounds", "2"), "ledger.csv"),
    "train_xgboost": ((*TRAIN, "--members", "2", "--ranks", "1"), "model/manifest.json"),
    "train_deep": ((*TRAIN, "--epochs", "1", "--ranks", "1"), "model/manifest.json"),
    "automl": ((*TRAIN, "--trials", "1", "--families", "linear"), "model/manifest.json"),
    "learn_network": (("--input", "rows.csv", "--features", "kind", "label"), "network.bif"),
    "learn_policy": (STEPS, "policy/part-00000.parquet"),
    "mine_itemsets": (("--input", "sets.dat", "--min-support", "0.2", "--rules"), "rules/_SUCCESS"),
    "cluster": ((*POINTS, "--method", "kmeans", "--k", "2"), "rows/_SUCCESS"),
    "find_outliers": ((*POINTS, "--method", "robust-z"), "rows/_SUCCESS"),
    "profile": (("--input", "rows.csv"), "profile.json"),
}


@pytest.fixture(scope="module")
def store():
    found = Store()
    yield found
    found.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    rows["kind"] = np.where(np.arange(200) % 3, "one", "two")
    rows["label"] = np.where(rows.a > rows.b + rng.normal(size=200), "up", "down")
    rows.to_csv(home / "rows.csv", index=False)
    steps = [(i // 6, i % 6, float(i % 3), i % 2, float(i % 5), i % 6 == 5) for i in range(60)]
    names = ["run", "t", "x", "act", "gain", "over"]
    pd.DataFrame(steps, columns=names).to_csv(home / "steps.csv", index=False)
    (home / "sets.dat").write_text("1 2 3\n1 2\n2 3\n1 2 4\n" * 5)
    return home


def submit(home, job, *options):
    command = ["spark-submit", "--properties-file", ROOT / "spark-defaults.conf"]
    command += [ROOT / "jobs" / f"{job}.py", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, check=False, cwd=home
    )


@pytest.mark.parametrize("job", JOBS)
def test_a_job_writes_to_a_store_twice(store, home, job):
    """The second time it replaces its output."""
    options, written = JOBS[job]
    where = store.uri(job)
    for more in (
        (),
        ("--overwrite", "--seed", "1") if job != "mine_itemsets" else ("--overwrite",),
    ):
        done = submit(home, job, *options, "--output", where, *more)
        assert done.returncode == 0, done.stderr[-3000:]
        folder = Folder.at(where)
        assert folder.read_json("metrics.json")["status"] == "ok"
        assert folder.exists(written), folder.walk()
        assert not [n for n in folder.walk() if n.startswith(("next/", "work/", ".lock"))]


def test_a_table_is_scored_into_a_store(store, home):
    rows = pd.read_csv(home / "rows.csv")
    rows.to_parquet(home / "rows.parquet")
    model = str(home / "trees")
    assert submit(home, "train_ensemble", *TRAIN, "--output", model).returncode == 0
    for name in ("rows.csv", "rows.parquet"):
        where = store.uri(f"scored-{name}")
        for more in ((), ("--overwrite",)):
            done = submit(
                home, "score", "--model", model, "--input", name, "--output", where, *more
            )
            assert done.returncode == 0, done.stderr[-3000:]
        found = Folder.at(where)
        report = next(n for n in found.walk() if n.endswith("_report.html"))
        assert b"accuracy" in found.read_bytes(report)
        whole = "_scores.json" if name.endswith("parquet") else "_SUCCESS"
        assert all(found.exists(n) for n in json.loads(found.read_bytes(whole))["files"])
