"""A standalone cluster whose workers have a bare Python, and get all packages from an archive.

The driver runs in client mode: for Python, Spark refuses cluster mode on a standalone master.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.console.commands import ROOT, sparkml_dist
from tests.standalone import StandaloneCluster

pytestmark = pytest.mark.long

# No packages of anybody's, however the workers were started.
BARE = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "VIRTUAL_ENV": ""}


@pytest.fixture(scope="module")
def bare_python():
    """The Python that this environment was made from, without its packages."""
    base = os.path.realpath(sys.executable)
    code = "import importlib.util as i; print(i.find_spec('sklearn'), i.find_spec('pyarrow'))"
    found = subprocess.run([base, "-I", "-c", code], capture_output=True, text=True, check=True)
    if found.stdout.split() != ["None", "None"]:
        pytest.skip(f"{base} has packages of its own")
    return base


@pytest.fixture(scope="module")
def archive(tmp_path_factory, bare_python):
    path = tmp_path_factory.mktemp("packed") / "env.tar.gz"
    done = sparkml_dist("pack", "--minimal", "--output", path, "--python", bare_python)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, bare_python):
    bare = {**BARE, "PYSPARK_PYTHON": bare_python, "PYSPARK_DRIVER_PYTHON": bare_python}
    folder = tmp_path_factory.mktemp("cluster")
    with StandaloneCluster(folder, workers=2, environments={0: bare, 1: bare}) as started:
        yield started


def options(cluster):
    return [
        *("--master", cluster.url, "--driver-memory", "512m"),
        *("--conf", "spark.executor.memory=512m", "--conf", "spark.ui.enabled=false"),
    ]


LOCAL = {"SPARK_LOCAL_IP": "127.0.0.1"}


def test_without_an_archive_the_doctor_says_what_workers_lack(cluster, bare_python):
    python = ["--conf", f"spark.pyspark.python={bare_python}"]
    python += ["--conf", f"spark.pyspark.driver.python={sys.executable}"]
    done = sparkml_dist("doctor", *options(cluster), *python, "--json", environment=LOCAL)
    assert done.returncode == 12, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["findings"]
    (workers,) = [f for f in found if f["name"] == "workers"]
    assert "pyarrow" in workers["found"].lower()
    assert "--archives" in workers["remedy"] or "pack" in workers["remedy"]


def test_with_the_archive_all_workers_are_well(cluster, archive, tmp_path):
    line = ["--environment", archive, "--folder", tmp_path, "--json"]
    done = sparkml_dist("doctor", *options(cluster), *line, environment=LOCAL)
    found = {f["name"]: f for f in json.loads(done.stdout.splitlines()[-1])["findings"]}
    assert found["workers' packages"]["state"] == "ok", found
    assert found[f"folder {tmp_path}"]["state"] == "ok", found
    assert found["slots"]["found"].startswith("2 at spark://")
    assert done.returncode == 0, found
    assert "INFO" not in done.stderr.partition("SparkContext")[0]
    assert not list(tmp_path.iterdir())


def test_a_job_runs_with_the_archive(cluster, archive, tmp_path):
    own = ["--train", ROOT / "data" / "machines.csv", "--label", "state", "--members", "4"]
    own += ["--features", "hours", "temperature", "--shards", "2", "--output", tmp_path / "out"]
    line = [*options(cluster), "--environment", archive, *own]
    done = sparkml_dist("train-ensemble", *line, environment=LOCAL)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"--archives {archive}#environment" in done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert document["status"] == "ok" and document["members"] == 4
    assert document["metrics"]["accuracy"] > 0.6
