"""The options of `fit_kernel`: each reaches its Param, and what cannot work is told at once."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.cli import kernels
from sparkml_dist.cli.kernels import add_kernel_options, kernel_estimator, kernel_params
from sparkml_dist.cli.options import JobParser
from sparkml_dist.errors import UsageError
from tests.jobs.test_jobs import submit


def parsed(*options):
    parser = JobParser("fit_kernel", "Fits.")
    add_kernel_options(parser)
    return parser.parse_args(list(map(str, options)))


def test_each_option_sets_a_param_that_there_is():
    kinds = (sd.KernelClassifier, sd.GaussianProcess, sd.KernelKMeans)
    known = {p.name for kind in kinds for p in kind().params}
    assert {name for name, _ in kernels._PARAMS.values()} <= known
    own = {"method", "regression", "alpha", "committee"}
    assert set(vars(parsed())) - own == set(kernels._PARAMS)
    assert kernel_params(parsed()) == {"approximation": "nystroem"}


def test_options_become_an_estimator():
    ridge = kernel_estimator(
        parsed(
            *("--method", "fourier", "--regression", "--centers", 64, "--kernel", "matern"),
            *("--length-scale", "validation", "--alpha", 0.1, 1, "--no-fit-intercept"),
        ),
        seed=3,
    )
    assert isinstance(ridge, sd.KernelRidge) and ridge.getAlphas() == [0.1, 1.0]
    assert (ridge.getApproximation(), ridge.getNumCenters()) == ("fourier", 64)
    assert ridge.getLengthScale() == "validation" and ridge.getFitIntercept() is False
    process = kernel_estimator(parsed("--method", "gp", "--regression", "--committee"))
    assert isinstance(process, sd.GaussianProcess) and process.getMethod() == "committee"
    clusters = kernel_estimator(parsed("--method", "spectral", "--k", 3, "--length-scale", 0.5))
    assert isinstance(clusters, sd.SpectralClustering) and clusters.getLengthScale() == 0.5


@pytest.mark.parametrize(
    "options",
    [
        ["--method", "gp"],
        ["--method", "gp", "--regression", "--alpha", 1],
        ["--method", "kmeans", "--regression"],
        ["--method", "kmeans", "--solver", "cg"],
        ["--regression", "--loss", "logistic"],
        ["--committee"],
        ["--k", 3],
        ["--length-scale", "mean"],
    ],
    ids=str,
)
def test_options_without_an_effect_are_refused(options):
    with pytest.raises(UsageError):
        kernel_params(parsed(*options))


def write_rows(path):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
    rows["y"] = np.sin(2 * rows.a) + rows.b + rng.normal(scale=0.1, size=400)
    rows["kind"] = np.where(rows.a > 0, "right", "left")
    rows.to_csv(path, index=False)


@pytest.mark.long
def test_clusters_need_no_label(tmp_path):
    write_rows(tmp_path / "rows.csv")
    given = ("--train", tmp_path / "rows.csv", "--method", "kmeans", "--k", 2, "--centers", 40)
    given = (*given, "--features", "a", "b", "--output", tmp_path / "out")
    refused = submit("fit_kernel", *given, "--test-fraction", 0.3)
    assert refused.status == 2 and "--test-fraction" in refused.errors[0]
    ended = submit("fit_kernel", *given)
    assert (ended.status, ended.errors) == (0, []), ended.stderr[-2000:]
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["clusters"] == 2 and sum(found["sizes"]) == found["rows"] == 400
    assert (tmp_path / "out" / "model" / "manifest.json").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "metric", "least", "most"),
    [
        (["--label", "y", "--regression", "--alpha", 0.001, 0.1, 1], "rmse", 0.0, 0.25),
        (["--label", "y", "--regression", "--method", "gp"], "rmse", 0.0, 0.2),
        (["--label", "kind", "--method", "fourier"], "accuracy", 0.9, 1.0),
        (["--label", "kind", "--method", "kmeans", "--k", 2], "adjusted_rand", -0.5, 1.0),
    ],
    ids=str,
)
def test_the_job_fits_scores_and_saves(tmp_path, options, metric, least, most):
    rows = tmp_path / "rows.csv"
    write_rows(rows)
    ended = submit(
        "fit_kernel",
        *("--train", rows, "--features", "a", "b", "--shards", 2, "--centers", 60),
        *("--output", tmp_path / "out"),
        *options,
    )
    assert (ended.status, ended.errors) == (0, []), ended.stderr[-2000:]
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert least <= found["metrics"][metric] <= most
    assert found["kernel"]["centers"] == 60 and found["kernel"]["length_scale"] > 0
    if "--alpha" in options:
        assert (tmp_path / "out" / "plots" / "penalties.png").exists()
        assert len(found["kernel"]["path"]) == 3
    if "gp" in options:
        assert 0.85 < found["interval_cover"] <= 1.0
    assert (tmp_path / "out" / "model" / "manifest.json").exists()
