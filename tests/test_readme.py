"""What the README shows, runs as it stands there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.examples import ROOT, blocks, run_here

README = ROOT / "README.md"
# Has its example in docs/deep_parallel.md, which the README names.
ELSEWHERE = ("DeepEnsembleClassifier",)


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like the project's, where examples may write."""
    for name in ("data", "jobs", "spark-defaults.conf", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    """Run `command` in `folder` as a user would and return what it prints."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYSPARK", "PYTHONPATH", "SPARKML"))
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_notebook_in_ten_lines_and_all_that_follows(spark, tmp_path, capsys):
    code = blocks(README)
    assert sum(1 for line in code[0].splitlines() if line.strip()) == 10
    run_here("\n".join(code), tmp_path)
    shown = capsys.readouterr().out
    assert shown.count("predictedLabel") == 3
    assert "antecedent" in shown and "outlierScore" in shown
    assert shown.count("|") > 20
    assert (tmp_path / "build" / "trees" / "manifest.json").is_file()
    assert "vibration" in (tmp_path / "build" / "machines.html").read_text()


def test_every_public_estimator_has_an_example():
    from pyspark.ml.base import Estimator

    import sparkml_dist

    shown = "\n".join([*blocks(README), *map(Path.read_text, (ROOT / "docs").glob("*.md"))])
    public = [getattr(sparkml_dist, name) for name in sparkml_dist.__all__]
    estimators = {x for x in public if isinstance(x, type) and issubclass(x, Estimator)}
    functions = {sparkml_dist.profile, sparkml_dist.drift, sparkml_dist.silhouette}
    assert len(estimators) > 25
    missing = [x.__name__ for x in estimators | functions if f"{x.__name__}(" not in shown]
    assert missing == []
    first = "\n".join(blocks(README))
    methods = [x.__name__ for x in estimators if x.__name__.endswith("Classifier")]
    assert [n for n in methods if f"sd.{n}(" not in first and n not in ELSEWHERE] == []


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the commands name .venv")
def test_spark_submit(checkout):
    (code,) = blocks(README, "sh")
    shown = run(["bash", "-euc", code], checkout)
    trained, scored = (json.loads(line) for line in shown.splitlines() if line.startswith("{"))
    assert trained["metrics"]["accuracy"] > 0.8
    assert scored["rows"] == 1500
    assert json.loads((checkout / "build/machines/metrics.json").read_text()) == trained
