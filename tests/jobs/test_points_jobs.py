"""The jobs over points: outliers and clusters of tables, with and without the truth."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.neighbors import LocalOutlierFactor

from sparkml_dist.cli.clusters import find_clusters
from sparkml_dist.cli.outliers import find_outliers
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job, run_job
from sparkml_dist.cli.scoring import score_table
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, UsageError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]
MAINS = {"find_outliers": find_outliers, "cluster": find_clusters}


def options(name):
    spec = importlib.util.spec_from_file_location("job", ROOT / "jobs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.options()


@pytest.fixture
def run(spark, tmp_path):
    def work(name, *arguments):
        args = options(name).parse_args([*map(str, arguments), "--output", str(tmp_path / "out")])
        job = Job(name)
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        MAINS[name](args, job)
        return job.document.to_dict(), pq.read_table(tmp_path / "out" / "rows").to_pandas()

    return work


@pytest.fixture
def table(tmp_path):
    """Two dense squares, ten rows far away, and which rows these are."""
    rng = np.random.default_rng(0)
    near = np.r_[rng.uniform(0, 1, (200, 2)), rng.uniform(5, 6, (200, 2))]
    far = np.c_[np.arange(10) * 40.0 - 200, np.full(10, 90.0)]
    group = np.r_[np.zeros(200), np.ones(200), np.full(10, 2)].astype(int)
    path = tmp_path / "points.csv"
    rows = [
        f"r{i},{x},{y},{g},{int(g == 2)}"
        for i, ((x, y), g) in enumerate(zip(np.r_[near, far], group, strict=True))
    ]
    path.write_text("\n".join(["name,x,y,group,strange", *rows]) + "\n")
    return path


def test_outliers_of_a_table(run, table):
    arguments = ("--input", table, "--features", "x", "y", "--contamination", 0.025)
    document, rows = run("find_outliers", *arguments, "--label", "strange", "--members", 50)
    assert (document["rows"], document["features"]) == (410, 2)
    assert document["metrics"]["roc_auc"] > 0.99
    assert document["outliers"] == rows["prediction"].sum() <= 12
    assert {"name", "outlierScore", "prediction", "strange"} <= set(rows.columns)
    with pytest.raises(StorageError, match="--overwrite"):
        run("find_outliers", *arguments)
    few = ("--members", 5)
    again, _ = run("find_outliers", *arguments, *few, "--overwrite", "--key", "name")
    assert again["metrics"] == {}


@pytest.mark.long
def test_outliers_that_words_name(run, tmp_path):
    """Tabs, a header, and a truth in words, which is missing in a row."""
    rng = np.random.default_rng(1)
    points = np.r_[rng.normal(size=(60, 2)), rng.normal(20, 5, (6, 2))]
    words = ["no"] * 60 + ["yes"] * 5 + [""]
    lines = [f"{x}\t{y}\t{w}" for (x, y), w in zip(points, words, strict=True)]
    path = tmp_path / "points.tsv"
    path.write_text("\n".join(["x\ty\tstrange", *lines]) + "\n")
    arguments = ("--train", path, "--label", "strange")
    lof = ("--method", "lof", "--neighbors", "10")
    document, rows = run("find_outliers", *arguments, *lof)
    assert document["metrics"]["roc_auc"] == 1.0
    names = ("outlier_label", "labelled_outliers", "unlabelled_rows")
    assert [document[name] for name in names] == ["yes", 5, 1]
    reference = LocalOutlierFactor(n_neighbors=10).fit(points)
    found = rows.sort_values("x")["outlierScore"].to_numpy()
    wanted = -reference.negative_outlier_factor_[np.argsort(points[:, 0])]
    assert found == pytest.approx(wanted, rel=1e-6)
    # A second try takes what the first one left, and nothing else changes.
    again, _ = run("find_outliers", *arguments, *lof, "--resume")
    assert again["metrics"] == document["metrics"]
    assert "fit" not in again["seconds"] and "score" not in again["seconds"]
    with pytest.raises(ConfigurationError, match="neighbors: 10 then, 11 now"):
        run("find_outliers", *arguments, "--method", "lof", "--neighbors", "11", "--resume")
    other, rows = run(
        "find_outliers", *arguments, "--method", "robust-z", "--outlier-label", "no", "--overwrite"
    )
    assert other["metrics"]["roc_auc"] < 0.1
    assert set(rows["outlierColumn"]) == {"x", "y"}


def test_clusters_of_a_table(run, table):
    document, rows = run(
        "cluster", "--input", table, "--features", "x", "y", "--label", "group", "--eps", 0.3
    )
    assert (document["clusters"], document["noise"], document["rows"]) == (2, 10, 410)
    assert document["metrics"]["adjusted_rand"] == pytest.approx(1.0)
    assert set(rows["prediction"]) == {-1, 0, 1}


@pytest.mark.parametrize(
    ("job", "options", "added"),
    [
        pytest.param(
            "cluster", ("--method", "kmeans", "--k", 2), ["prediction"], marks=pytest.mark.long
        ),
        pytest.param("cluster", ("--eps", 0.3), ["prediction"], marks=pytest.mark.long),
        ("find_outliers", ("--members", 5), ["outlierScore", "prediction"]),
    ],
)
def test_new_rows_are_scored_with_the_model(run, table, tmp_path, spark, job, options, added):
    run(job, "--input", table, "--features", "x", "y", *options)
    scoring = Job("score")
    scoring._spark = spark
    place = ("--model", tmp_path / "out", "--input", table, "--output", tmp_path / "new")
    score_table(options_of_score(*place, "--keep", "name"), scoring)
    rows = pq.read_table(tmp_path / "new")
    assert rows.column_names == ["name", *added] and rows.num_rows == scoring.document.rows == 410
    with pytest.raises(ConfigurationError, match="option_not_used"):
        score_table(options_of_score(*place, "--label", "group", "--overwrite"), scoring)
    assert pq.read_table(tmp_path / "new").equals(rows)


def options_of_score(*arguments):
    return options("score").parse_args([*map(str, arguments)])


@pytest.mark.long
def test_clusters_that_were_found_already(run, table, tmp_path, monkeypatch):
    arguments = ("cluster", "--input", table, "--features", "x", "y")
    arguments += ("--method", "minibatch-kmeans")
    document, rows = run(*arguments, "--k", 2)
    again, _ = run(*arguments, "--k", 2, "--resume")
    assert again == document
    with pytest.raises(ConfigurationError, match=r"plan_differs.*k: \[2\] then, \[3\] now"):
        run(*arguments, "--k", 3, "--resume")
    with monkeypatch.context() as patch:
        patch.setattr(JobOutput, "commit", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            run(*arguments, "--k", 3, "--overwrite")
    assert pq.read_table(tmp_path / "out" / "rows").to_pandas().equals(rows)
    other, rows = run(*arguments, "--k", 3, "--resume")
    assert other["clusters"] == 3 and set(rows["prediction"]) == {0, 1, 2}
    assert not (tmp_path / "out" / "next").exists()


@pytest.mark.long
def test_sparse_rows(run, tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("0 1:1\n0 1:1.1\n0 1:0.9 2:0.1\n1 2:9\n")
    document, _ = run("cluster", "--input", path, "--eps", 0.5, "--min-points", 2)
    assert (document["clusters"], document["noise"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "told"),
    [
        ("cluster", ["--eps", "0"], ConfigurationError, "eps must be"),
        ("find_outliers", ["--contamination", "0.7"], ConfigurationError, "contamination must be"),
        ("find_outliers", ["--features", "x", "--label", "group"], DataError, "two values"),
        (
            "find_outliers",
            ["--features", "x", "--label", "group", "--outlier-label", "7"],
            DataError,
            "No row has '7' in the label column 'group'",
        ),
        ("find_outliers", ["--method", "lof", "--members", "3"], UsageError, "no --members"),
        ("find_outliers", ["--outlier-label", "1"], UsageError, "needs --label"),
        ("cluster", ["--eps", "1", "--label", "grop"], DataError, "Did you mean 'group'"),
        ("cluster", ["--eps", "1"], DataError, "'name'"),
    ],
)
def test_what_does_not_go(run, table, name, arguments, error, told):
    with pytest.raises(error) as caught:
        run(name, "--input", table, *arguments)
    assert told in str(caught.value)


@pytest.mark.long
def test_rare_categories_are_strange(run, tmp_path):
    path = tmp_path / "rows.csv"
    places = ["a"] * 30 + ["A"] * 28 + ["`b.c`"] + [""]
    path.write_text("\n".join(["x,place", *(f"{i % 7},{p}" for i, p in enumerate(places))]) + "\n")
    arguments = ("--input", path, "--categorical", "auto", "--method", "robust-z")
    document, rows = run("find_outliers", *arguments)
    assert document["features"] == 4  # x, and three places
    assert rows.columns.tolist() == ["x", "place", "outlierScore", "prediction", "outlierColumn"]
    strangest = rows.sort_values("outlierScore").iloc[-1]
    assert (strangest["place"], strangest["outlierColumn"]) == ("`b.c`", "place='b.c'")
    with pytest.raises(DataError, match="'place'"):
        run("find_outliers", "--input", path, "--overwrite")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x,y\n1,2\n?,4\n", "1 of 2 rows have null, NaN or infinite values"),
        ("x,y\n", "no rows"),
        ("# nothing\n", "no rows"),
    ],
)
def test_rows_that_cannot_be_used(run, tmp_path, text, told):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(Exception, match=told):
        run("find_outliers", "--input", path, "--header", "--method", "robust-z")


@pytest.mark.long
def test_an_outlier_data_set_with_comments(run, shared_data):
    document, _ = run("find_outliers", "--input", shared_data / "mammography.csv", "--label", "-1")
    assert document["rows"] == 11_183
    assert document["metrics"]["roc_auc"] == pytest.approx(0.865, abs=0.02)


def test_wrong_options_end_the_job_before_spark(tmp_path, capsys):
    command = ["--input", "x.csv", "--eps", "-1", "--output", str(tmp_path / "out")]
    assert run_job("cluster", options("cluster"), find_clusters, command) == 10
    assert "eps" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        pytest.param("kmeans", ("--k", "2:4"), marks=pytest.mark.long),
        pytest.param("minibatch-kmeans", ("--k", 3), marks=pytest.mark.long),
        ("kmedoids", ("--k", 3)),
    ],
)
def test_clusters_around_centers(run, table, method, more):
    arguments = ("--input", table, "--features", "x", "y", "--label", "group")
    document, rows = run("cluster", *arguments, "--method", method, *more)
    assert document["clusters"] == document["k"] == rows["prediction"].nunique()
    assert document["noise"] == 0
    # The ten rows far away pull means to them, medoids hardly.
    assert document["metrics"]["adjusted_rand"] > (0.9 if method == "kmedoids" else 0.0)
    assert -1 <= document["silhouette"] <= 1
    if method == "kmeans":
        assert [score["k"] for score in document["scores"]] == [2, 3, 4]
    assert (document["cost"] if method == "kmedoids" else document["inertia"]) > 0


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (("--method", "kmeans", "--eps", 1), "--eps does not go with --method kmeans"),
        (("--k", 3, "--eps", 1), "--k does not go with --method dbscan"),
        ((), "needs --eps"),
        (("--method", "kmedoids", "--k", "2:4"), "takes one --k. Got 2:4"),
    ],
)
def test_options_of_clusters(run, table, more, what):
    with pytest.raises(UsageError, match=what):
        run("cluster", "--input", table, *more)
