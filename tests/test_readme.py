"""What the README shows, runs as it stands there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.examples import ROOT, blocks, run_here

README = ROOT / "README.md"
# Have their examples in documents that the README names.
ELSEWHERE = {
    "AutoRegressor": "automl.md",
    "BayesianNetworkClassifier": "graphical.md",
    "GaussianNetwork": "graphical.md",
    **dict.fromkeys(("DoubleQLearning", "ExpectedSARSA", "QLearning", "SARSA"), "reinforcement.md"),
    **dict.fromkeys(
        (
            "DeepQLearning",
            "FittedQIteration",
            "LinUCB",
            "LinearThompsonSampling",
            "OffPolicyBandit",
        ),
        "reinforcement.md",
    ),
    **dict.fromkeys(
        (
            "FederatedBaggingRegressor",
            "FederatedBoostingClassifier",
            "FederatedBoostingRegressor",
            "FederatedClassifier",
            "FederatedKMeans",
            "FederatedNaiveBayes",
            "FederatedRegressor",
        ),
        "federated.md",
    ),
    "DeepEnsembleClassifier": "deep_parallel.md",
    "KerasEstimator": "deep.md",
    "KerasRegressor": "deep.md",
    "BaggingRegressor": "ensembles.md",
    "GradientBoostingRegressor": "ensembles.md",
    "StackingRegressor": "ensembles.md",
    "VotingRegressor": "ensembles.md",
    "XGBoostRegressor": "boosting.md",
    **dict.fromkeys(
        (
            "FourierFeatures",
            "GaussianProcess",
            "KernelKMeans",
            "KernelRidge",
            "NystroemFeatures",
            "OneClassMachine",
            "SpectralClustering",
        ),
        "kernels.md",
    ),
}


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


def test_notebook_in_ten_lines(spark, tmp_path, capsys):
    code = blocks(README)[0]
    assert sum(1 for line in code.splitlines() if line.strip()) == 10
    run_here(code, tmp_path)
    assert capsys.readouterr().out.count("predictedLabel") == 1


# Minutes: every room has its own test of each of these calls in `make test`.
@pytest.mark.long
def test_all_that_follows(spark, tmp_path, capsys):
    run_here("\n".join(blocks(README)), tmp_path)
    shown = capsys.readouterr().out
    assert shown.count("predictedLabel") == 5
    assert "antecedent" in shown and "outlierScore" in shown
    assert shown.count("|") > 20
    assert (tmp_path / "build" / "trees" / "manifest.json").is_file()
    assert "vibration" in (tmp_path / "build" / "machines.html").read_text()


def test_every_public_estimator_has_an_example():
    from pyspark.ml.base import Estimator, Model, Transformer

    import sparkml_dist

    public = {name: getattr(sparkml_dist, name) for name in sparkml_dist.__all__}
    learners = {
        name
        for name, x in public.items()
        if isinstance(x, type)
        and issubclass(x, Estimator | Transformer)
        and not issubclass(x, Model)
    }
    assert len(learners) > 25
    shown = "\n".join(blocks(README))
    in_readme = (learners | {"profile", "drift", "silhouette"}) - set(ELSEWHERE)
    assert [name for name in sorted(in_readme) if f"sd.{name}(" not in shown] == []
    for name, document in ELSEWHERE.items():
        assert f"sd.{name}(" in "\n".join(blocks(ROOT / "docs" / document)), name


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the commands name .venv")
def test_spark_submit(checkout):
    (code,) = blocks(README, "sh")
    shown = run(["bash", "-euc", code], checkout)
    trained, scored = (json.loads(line) for line in shown.splitlines() if line.startswith("{"))
    assert trained["metrics"]["accuracy"] > 0.8
    assert scored["rows"] == 1500
    assert json.loads((checkout / "build/machines/metrics.json").read_text()) == trained
