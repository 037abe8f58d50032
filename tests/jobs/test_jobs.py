"""The jobs by their scripts: as real processes, where that shows more than their main functions."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkml_dist.cli import runner

ROOT = Path(__file__).resolve().parents[2]
SUBMIT = Path(sys.executable).with_name("spark-submit")
PLOTS = {"accuracy_by_members.png", "confusion_matrix.png", "seconds_by_member.png"}


@dataclass
class Ended:
    """A process that has ended."""

    status: int
    document: dict[str, Any]
    errors: list[str]
    stderr: str


def start(command, name, *options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYSPARK_SUBMIT")}
    environment |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = subprocess.run(
        [*command, str(ROOT / "jobs" / f"{name}.py"), *map(str, options)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return ended(name, done.returncode, done.stdout, done.stderr)


def ended(name, status, out, err):
    lines = out.splitlines()
    assert lines, err[-3000:]
    errors = [line for line in err.splitlines() if line.startswith(f"{name}: error:")]
    return Ended(status, json.loads(lines[-1]), errors, err)


def main_of(name, *options):
    """Run a job's script in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as done:
        patch.setattr(sys, "argv", [name, *map(str, options)])
        runpy.run_path(str(ROOT / "jobs" / f"{name}.py"), run_name="__main__")
    return done.value.code


def submit(name, *options):
    """Run a job with ``spark-submit`` on ``local[2]``."""
    return start(
        [
            str(SUBMIT),
            "--master",
            "local[2]",
            "--properties-file",
            "spark-defaults.conf",
            "--conf",
            "spark.ui.enabled=false",
        ],
        name,
        *options,
    )


def run(name, *options):
    """Run a job that ends before it needs Spark, in a process of its own."""
    done = start([sys.executable], name, *options)
    assert "Spark" not in done.stderr, "this was to be refused before Spark starts"
    return done


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Run a job that ends before it needs Spark in this process, with its own main function."""

    def work(name, *options):
        status = main_of(name, *options)
        return ended(name, status, *capsys.readouterr())

    def starts(name):
        pytest.fail("this was to be refused before Spark starts")

    monkeypatch.setattr(runner, "_started", starts)
    return work


def write_csv(path, bunch, *, header, delimiter=","):
    names = [str(bunch.target_names[t]) for t in bunch.target]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow([*bunch.feature_names, "species"])
        writer.writerows([*row, name] for row, name in zip(bunch.data.tolist(), names, strict=True))
    return path


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    from sklearn.datasets import load_iris

    path = tmp_path_factory.mktemp("iris") / "iris.csv"
    return write_csv(path, load_iris(), header=True, delimiter=";")


@pytest.fixture(scope="module")
def trained(iris, spark, tmp_path_factory):
    """An ensemble on iris, by the job's own main function on the tests' session, which it must not
    stop: how the job ended, and where its output lies."""
    home = tmp_path_factory.mktemp("trained") / "out"
    options = ("--train", iris, "--label", "species", "--output", home, "--test-fraction", 0.3)
    options += ("--members", 4, "--shards", 2, "--estimator-params", '{"max_depth": 4}')
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(runner, "_started", lambda name: spark)
        patch.setattr(runner.Job, "stop", lambda self: None)
        status = main_of("train_ensemble", *options)
    return ended("train_ensemble", status, out.getvalue(), err.getvalue()), home


def test_an_ensemble_on_named_columns(trained):
    done, home = trained
    assert (done.status, done.errors) == (0, []), done.stderr[-3000:]
    document = done.document
    assert (document["job"], document["status"]) == ("train_ensemble", "ok")
    assert (document["features"], document["classes"], document["members"]) == (4, 3, 4)
    assert document["rows"] + document["test_rows"] == 150
    assert document["metrics"]["accuracy"] > 0.85
    assert set(document["metrics"]) == {"accuracy", "log_loss", "roc_auc", "f1_macro"}
    assert document["memory"]["peak_worker_rss_mb"] > 50
    assert {"read", "partition", "fit", "evaluate", "total"} <= set(document["seconds"])
    assert json.loads((home / "metrics.json").read_text()) == document
    assert {p.name for p in (home / "plots").iterdir()} == PLOTS
    assert (home / "shards" / "manifest.json").is_file()
    page = (home / "report.html").read_text()
    for part in ("train_ensemble: ok", "--members 4", "95% interval", "setosa", "score.py --model"):
        assert part in page
    assert page.count("data:image/png") == len(PLOTS)
    assert not [p for p in home.rglob("*") if p.name.endswith(".tmp")]


@pytest.mark.long
def test_columns_that_are_no_features_pass_as_they_are_written(tmp_path):
    import pyarrow.parquet as pq

    def row(i, label):
        return f"{i:05d},{900719925474099200 + i},#{i},{i % 10},{i % 3},{label}\n"

    names = "zip,customer,name,x,y,label\n"
    rows = [row(i, "yes" if i % 10 > 4 else "no") for i in range(120)]
    (tmp_path / "t.csv").write_text(names + "".join(rows))
    some = [row(i, "yes" if i < 9 and i % 10 > 4 else "no" if i < 9 else "") for i in range(120)]
    (tmp_path / "new.csv").write_text(names + "".join(some))
    home = tmp_path / "out"
    done = submit(
        "train_ensemble",
        *("--train", tmp_path / "t.csv", "--features", "x", "y", "--key", "customer"),
        *("--members", 2, "--shards", 1, "--output", home),
    )
    assert done.status == 0, done.stderr[-3000:]
    target = tmp_path / "scored"
    done = submit("score", "--model", home, "--input", tmp_path / "new.csv", "--output", target)
    assert done.status == 0, done.stderr[-3000:]
    assert (done.document["rows"], done.document["rows_without_label"]) == (120, 111)
    assert done.document["metrics"]["accuracy"] > 0.8
    table = pq.read_table(target).to_pylist()
    found = sorted((r["zip"], r["customer"], r["name"]) for r in table)
    assert found == [(f"{i:05d}", f"{900719925474099200 + i}", f"#{i}") for i in range(120)]


@pytest.mark.long
def test_a_network_on_columns_without_names(tmp_path):
    from sklearn.datasets import load_digits

    path = write_csv(tmp_path / "digits.data", load_digits(), header=False)
    done = submit(
        "train_deep",
        *("--train", path, "--label", -1, "--output", tmp_path / "out", "--model", "cnn"),
        *("--input-shape", "8,8,1", "--ranks", 2, "--epochs", 3, "--batch-size", 64),
    )
    assert (done.status, done.errors) == (0, []), done.stderr[-3000:]
    document = done.document
    assert (document["features"], document["classes"], document["ranks"]) == (64, 10, 2)
    assert document["metrics"]["accuracy"] > 0.8
    assert {p.name for p in (tmp_path / "out" / "plots").iterdir()} == {
        "confusion_matrix.png",
        "metrics_by_epoch.png",
        "seconds_by_rank.png",
    }


def refused(done, status, code):
    """Check how a failed job reports its failure, and return its line on stderr."""
    assert done.status == status, done.stderr[-3000:]
    assert len(done.errors) == 1, done.stderr[-3000:]
    assert f"[{code}]" in done.errors[0]
    assert done.document["status"] == "failed"
    assert done.document["error"]["code"] == code
    assert done.document["error"]["exit_status"] == status
    return done.errors[0]


def test_bad_data_is_reported_once(iris, tmp_path):
    done = submit(
        "train_ensemble", "--train", iris, "--label", "speces", "--output", tmp_path / "o"
    )
    assert "Did you mean 'species'?" in refused(done, 11, "column_not_found")
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"metrics.json", "report.html"}
    assert "&#39;species&#39;" in (tmp_path / "o" / "report.html").read_text()
    assert json.loads((tmp_path / "o" / "metrics.json").read_text()) == done.document


@pytest.mark.long
def test_more_ranks_than_slots(iris, tmp_path):
    done = submit(
        "train_deep",
        *("--train", iris, "--label", "species", "--output", tmp_path / "o", "--ranks", 5),
    )
    assert "at most 2 ranks" in refused(done, 12, "too_few_slots")
    assert done.document["seconds"]["total"] < 60


COMMON = ["--train", "no-such-file.csv", "--output", "{out}"]


@pytest.mark.parametrize(
    ("name", "options", "status", "code"),
    [
        ("train_ensemble", ["--members", "0"], 2, "usage"),
        ("train_ensemble", ["--estimator", "sklearn.tree.DecisionTree"], 10, "unknown_estimator"),
        (
            "train_ensemble",
            ["--estimator-params", '{"depth": 3}'],
            10,
            "unknown_estimator_parameter",
        ),
        (
            "train_ensemble",
            ["--estimator", "sklearn.linear_model.Ridge"],
            10,
            "not_a_classifier",
        ),
        ("train_deep", ["--model", "rnn"], 10, "unknown_builder"),
        ("train_deep", ["--model", "nowhere.py:build"], 10, "builder_file_not_found"),
    ],
)
def test_what_needs_no_spark_is_refused_before(run_here, tmp_path, name, options, status, code):
    out = tmp_path / "out"
    done = run_here(name, *[part.format(out=out) for part in COMMON], *options)
    refused(done, status, code)
    assert json.loads((out / "metrics.json").read_text()) == done.document


@pytest.mark.long
def test_an_output_that_exists_stays(trained, iris, run_here):
    done, home = trained
    again = run("train_ensemble", "--train", iris, "--label", "species", "--output", home)
    assert "--overwrite" in refused(again, 14, "output_exists")
    assert json.loads((home / "metrics.json").read_text()) == done.document
    other = run_here(
        "train_ensemble",
        *("--train", iris, "--label", "species", "--output", home, "--seed", 9, "--resume"),
    )
    assert "seed: 0 then, 9 now" in refused(other, 10, "plan_differs")


def test_a_folder_that_is_no_model(run_here, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run_here(
        "score",
        *("--model", tmp_path / "empty", "--input", "new.csv", "--output", tmp_path / "scored"),
    )
    refused(done, 14, "not_a_model")
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
