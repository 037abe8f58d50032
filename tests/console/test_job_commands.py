"""The jobs as commands: what is refused without Java, and what spark-submit is given."""

from __future__ import annotations

import json
import shlex

import pytest

from sparkml_dist.console.main import COMMANDS, JOBS
from tests.console.commands import ROOT, sparkml_dist

NO_JAVA = {"JAVA_HOME": "/nonexistent", "SPARK_HOME": "/nonexistent"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """A Spark and a Java that say what they are asked, and end with 13."""
    home = tmp_path_factory.mktemp("spark")
    home.joinpath("bin").mkdir()
    for name, body in {"spark-submit": 'printf "%s\\n" "$@"; exit 13', "java": "exit 1"}.items():
        home.joinpath("bin", name).write_text(f"#!/bin/sh\n{body}\n")
        home.joinpath("bin", name).chmod(0o755)
    return {"SPARK_HOME": home, "JAVA_HOME": home}


def test_help_lists_the_commands_and_imports_nothing_heavy():
    done = sparkml_dist("--help", environment={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in [*JOBS, *COMMANDS])
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sparkml_dist.console.main" in imported
    assert not imported & {"pyspark", "numpy", "pyarrow", "sklearn", "pandas"}


@pytest.mark.parametrize("job", JOBS)
def test_the_help_of_a_job_needs_no_spark(job):
    done = sparkml_dist(job, "--help", environment={**NO_JAVA, "PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    assert f"usage: sparkml-dist {job}" in done.stdout
    assert "--environment FILE" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"pyspark", "numpy", "pyarrow", "sklearn", "pandas"}


@pytest.mark.parametrize(
    "options",
    [
        ["--train", "a.csv", "--membrs", "3"],
        ["--train", "a.csv", "--method", "voting", "--members", "3"],  # told by the job's main
        ["--master"],
    ],
)
def test_a_usage_error_is_told_before_java(tmp_path, options):
    output = ["--output", tmp_path / "out"] if "--train" in options else []
    done = sparkml_dist("train-ensemble", *output, *options, environment=NO_JAVA)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "error: [usage]" in line
    if output:
        assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "usage"


@pytest.mark.long
def test_an_output_in_the_way_is_told_before_java(tmp_path):
    tmp_path.joinpath("mine.txt").write_text("mine")
    line = ["--train", "a.csv", "--output", tmp_path]
    done = sparkml_dist("train-ensemble", *line, environment=NO_JAVA)
    assert done.returncode == 14
    assert "[output_exists]" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_without_java_one_line_says_so():
    done = sparkml_dist("doctor", "--master", "local", environment={"JAVA_HOME": "/nonexistent"})
    assert done.returncode == 10
    (line,) = done.stderr.splitlines()
    assert "[java_not_found]" in line


def test_an_unknown_command_is_told_with_the_nearest():
    done = sparkml_dist("train-ensembel")
    assert done.returncode == 2
    assert "Did you mean 'train-ensemble'?" in done.stderr


def test_spark_submit_gets_the_options_and_its_status_is_passed_on(tmp_path, installation):
    own = ["--train", "a b.csv", "--output", str(tmp_path / "out"), "--members", "3"]
    line = ["train-ensemble", "--conf", "a=b", *own, "--master", "local[2]"]
    done = sparkml_dist(*line, environment=installation)
    assert done.returncode == 13
    file = str(ROOT / "jobs" / "train_ensemble.py")
    wanted = ["--conf", "a=b", "--master", "local[2]", file, *own]
    assert done.stdout.splitlines() == wanted
    told = done.stderr.splitlines()[-1]
    assert shlex.split(told) == ["spark-submit", *wanted]
    # The check left nothing that the job itself would stumble over.
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_dry_run_prints_the_line_and_needs_no_java(installation):
    line = ["score", "--model", "m", "--input", "i.csv", "--output", "s", "--dry-run"]
    options = ["--deploy-mode", "cluster"]  # the folders are not of this machine
    nowhere = {**installation, "JAVA_HOME": "/nonexistent"}
    done = sparkml_dist(*line, *options, environment=nowhere)
    assert done.returncode == 0
    assert shlex.split(done.stdout)[1:3] == options
