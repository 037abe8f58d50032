"""Options of spark-submit and of jobs on one command line."""

from __future__ import annotations

import runpy

import pytest

from sparkml_dist.cli.checking import checking
from sparkml_dist.console.jobs import job_file
from sparkml_dist.console.main import JOBS
from sparkml_dist.console.submit import submit_line
from sparkml_dist.console.submit_options import (
    FLAGS,
    WITH_VALUE,
    settings_of,
    split_options,
    value_of,
)
from sparkml_dist.errors import UsageError
from tests.console.commands import ROOT


def test_options_of_spark_submit_stand_anywhere():
    line = ["--train", "a.csv", "--master=local[2]", "--label", "-1", "--conf", "a=b=c", "--oob"]
    submit, own = split_options(line)
    assert submit == ["--master=local[2]", "--conf", "a=b=c"]
    assert own == ["--train", "a.csv", "--label", "-1", "--oob"]


def test_before_two_hyphens_all_is_for_spark_submit():
    submit, own = split_options(["--verbose", "--new", "x", "--", "--verbose", "--master", "yarn"])
    assert submit == ["--verbose", "--new", "x", "--master", "yarn"]
    assert own == ["--verbose"]


@pytest.mark.parametrize("line", [["--master"], ["--conf", "--master", "yarn"]])
def test_an_option_without_its_value(line):
    with pytest.raises(UsageError, match="of spark-submit"):
        split_options(line)


def test_values_and_settings_that_win_are_the_last():
    line = ["--conf", "a=1", "-c", "b=x=y", "--conf=a=2", "--master", "yarn", "--master=local"]
    assert settings_of(line) == {"a": "2", "b": "x=y"}
    assert value_of(line, "--master") == "local"
    assert value_of(line, "--queue") is None


def test_every_job_is_a_command():
    files = {p.stem.replace("_", "-") for p in (ROOT / "jobs").glob("*.py")}
    assert files == set(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_no_option_of_a_job_is_one_of_spark_submit(job):
    with checking():
        options = runpy.run_path(str(job_file(job)), run_name="job")["options"]()
    named = set(options._option_string_actions)
    assert not named & (WITH_VALUE | FLAGS)
    assert options.prog == f"sparkml-dist {job}"


def test_the_archive_becomes_the_workers_environment(tmp_path):
    options = ["--archives", "data.zip", "--environment", "env.tar.gz"]
    line = submit_line(tmp_path, options, tmp_path / "job.py", ["--x"])
    assert line[1:3] == ["--archives", "data.zip,env.tar.gz#environment"]
    settings = settings_of(line)
    assert settings["spark.pyspark.python"] == "./environment/bin/python"
    assert "spark.pyspark.driver.python" in settings
    assert line[-2:] == [str(tmp_path / "job.py"), "--x"]


def test_in_cluster_mode_the_driver_uses_the_archive_too(tmp_path):
    options = ["--deploy-mode", "cluster", "--environment", "env.tar.gz"]
    options += ["--conf", "spark.pyspark.python=./environment/bin/python3"]
    settings = settings_of(submit_line(tmp_path, options, tmp_path / "job.py", []))
    assert settings == {"spark.pyspark.python": "./environment/bin/python3"}


def test_the_choices_of_options_are_those_of_the_library():
    from sparkml_dist.automl.ensemble_methods import METHODS
    from sparkml_dist.cli import choices
    from sparkml_dist.graphical.independence import TESTS
    from sparkml_dist.graphical.scores import SCORES
    from sparkml_dist.graphical.structure_learning import CORRECTIONS, STRUCTURES
    from sparkml_dist.kernels.centers.chosen import CENTER_METHODS
    from sparkml_dist.kernels.functions.families import KERNELS
    from sparkml_dist.kernels.ridge.fit import SOLVERS
    from sparkml_dist.mining.clusters.nearest_center import METRICS
    from sparkml_dist.search.samplers.making import SAMPLERS
    from sparkml_dist.search.schedulers.making import SCHEDULERS

    assert (choices.SAMPLERS, choices.SCHEDULERS) == (SAMPLERS, SCHEDULERS)
    assert choices.ENSEMBLE_METHODS == METHODS
    kernel = (choices.CENTER_METHODS, choices.KERNELS, choices.KERNEL_SOLVERS)
    assert kernel == (CENTER_METHODS, KERNELS, SOLVERS)
    assert choices.DISTANCE_MEASURES == METRICS
    assert choices.ENSEMBLE_METHODS == METHODS
    kernel = (choices.CENTER_METHODS, choices.KERNELS, choices.KERNEL_SOLVERS)
    assert kernel == (CENTER_METHODS, KERNELS, SOLVERS)
    graphs = (choices.INDEPENDENCE_TESTS, choices.GRAPH_SCORES, choices.CORRECTIONS)
    assert graphs == (TESTS, SCORES, CORRECTIONS)
    assert choices.STRUCTURES == STRUCTURES
