"""Faults: a driver that is killed, an executor that is killed; the model is the same in the end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from sparkml_dist import BaggingClassifier, partition
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]

FIT = """
import sys
from sklearn.ensemble import ExtraTreesClassifier
from sparkml_dist import BaggingClassifier, get_session, open_partitioned

get_session("crash")
BaggingClassifier(
    estimator=ExtraTreesClassifier(60), numMembers=12, seed=5, modelDir=sys.argv[2], resume=True
).fit(open_partitioned(sys.argv[1]))
"""


def members(model):
    """Return the hash of every committed member."""
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted((Path(model) / "members").glob("*.skops"))
    }


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    from sklearn.datasets import load_digits

    frame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    path = tmp_path_factory.mktemp("crash") / "d"
    return partition(spark.createDataFrame(frame), path, label="label", shards=3)


def test_a_killed_driver_is_resumed_bit_for_bit(shards, tmp_path):
    from sklearn.ensemble import ExtraTreesClassifier

    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYSPARK_SUBMIT")}
    environment |= {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    environment |= {"PYSPARK_SUBMIT_ARGS": "--master local[1] pyspark-shell"}
    home = tmp_path / "model"
    fit = subprocess.Popen(
        [sys.executable, "-c", FIT, shards.location, str(home)],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 180
    while len(list(home.glob("members/*.json"))) < 2 and time.monotonic() < deadline:
        assert fit.poll() is None, "the fit ended before it could be killed"
        time.sleep(0.02)
    os.killpg(fit.pid, signal.SIGKILL)
    fit.wait()
    committed = len(list(home.glob("members/*.json")))
    assert 2 <= committed < 12
    assert not (home / "manifest.json").exists()
    settings = {"estimator": ExtraTreesClassifier(60), "numMembers": 12, "seed": 5}
    resumed = BaggingClassifier(**settings, modelDir=str(home), resume=True).fit(shards)
    assert resumed.summary["fitted_now"] == 12 - committed
    undisturbed = BaggingClassifier(**settings, modelDir=str(tmp_path / "other")).fit(shards)
    assert members(home) == members(tmp_path / "other")
    assert resumed.content == undisturbed.content


class Killer:
    """Kills the executor that runs member 4, once, in the middle of its fit."""

    def __init__(self, marker):
        self.marker = marker

    def __call__(self, row):
        if not os.path.exists(self.marker):
            Path(self.marker).touch()
            for parent in psutil.Process().parents():
                if "CoarseGrainedExecutorBackend" in " ".join(parent.cmdline()):
                    parent.kill()
        return row


@pytest.mark.modes
def test_a_killed_executor_costs_nothing_but_time(shards, spark, tmp_path):
    from sparkml_dist.session import SessionInfo

    if "local-cluster" not in SessionInfo.of(spark).master:
        pytest.skip("only a cluster has executors to lose")
    from sklearn.tree import DecisionTreeClassifier

    from sparkml_dist.members import engine

    settings = {"estimator": DecisionTreeClassifier(), "numMembers": 6, "seed": 5}
    undisturbed = BaggingClassifier(**settings, modelDir=str(tmp_path / "a")).fit(shards)
    kill = Killer(str(tmp_path / "killed"))
    real = engine.MemberFit.__call__

    class Dying(engine.MemberFit):
        def __call__(self, index):
            if index == 4:
                kill(index)
            return real(self, index)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "MemberFit", Dying)
        again = BaggingClassifier(**settings, modelDir=str(tmp_path / "b")).fit(shards)
    assert (tmp_path / "killed").exists()
    assert members(tmp_path / "a") == members(tmp_path / "b")
    assert again.content["members"] == undisturbed.content["members"]
    assert np.isfinite(again.summary["seconds"]["fit"])
    assert json.dumps(Folder.at(tmp_path / "b").read_json("plan.json"))
