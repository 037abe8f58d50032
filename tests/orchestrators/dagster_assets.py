"""Assets made by a real Dagster, whose steps submit real jobs to a real Spark.

``make test-orchestrators`` runs this file, with the environment that has Dagster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "dagster_assets.py"


@pytest.fixture(scope="module")
def machine(environment, tmp_path_factory):
    """The environment of a Dagster with an empty instance."""
    home = tmp_path_factory.mktemp("dagster")
    return environment | {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "SPARKML_DIST_OUTPUT": str(home / "out"),
        "SPARKML_DIST_DELAY": "0",
        "SPARKML_DIST_FITS": str(home / "fits"),
    }


def materialize(env, *options, file=EXAMPLE):
    command = ["dagster", "asset", "materialize", "-f", str(file), "--select", *(options or ["*"])]
    return subprocess.run(
        command,
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def metadata(env, asset):
    """Return the metadata of the last materialization of an asset."""
    with dg.DagsterInstance.from_config(env["DAGSTER_HOME"]) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def machines(machine):
    """The run of the example."""
    done = materialize(machine)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_the_scores_are_the_metadata_of_the_asset(machine, machines):
    (run,) = Path(machine["SPARKML_DIST_OUTPUT"], "runs").iterdir()
    written = json.loads((run / "trees" / "metrics.json").read_text())
    found = metadata(machine, "trees")
    assert written["metrics"].items() <= found.items()
    assert (found["rows"], found["run_id"]) == (written["rows"], written["run_id"])
    assert metadata(machine, "profile")["rows"] == 1500
    assert metadata(machine, "scored")["rows"] == 1500
    assert list((run / "scored").glob("*.parquet"))


def test_a_model_below_the_check_scores_nothing(machine, tmp_path):
    env = machine | {
        "SPARKML_DIST_LEAST_ACCURACY": "1.1",
        "SPARKML_DIST_OUTPUT": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
    }
    done = materialize(env, "trees*")
    assert done.returncode != 0
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "trees" / "metrics.json").exists()
    assert not (run / "scored").exists()


FAULT = """
import os
import dagster as dg
from sparkml_dist.dagster import JobClient

HOME, OUTPUT = os.environ["SPARKML_DIST_HOME"], os.environ["SPARKML_DIST_OUTPUT"]
TRAIN = [*("--train", f"{HOME}/data/machines.csv", "--label", "state", "--key", "machine"),
         *("--categorical", "site", "--shards", 2)]
TRUSTED = "spark.sparkml_dist.trustedTypes=tests.orchestrators.dies_once.DiesOnce"
JOBS = JobClient(["spark-submit", "--master", "local[2]", "--conf", TRUSTED,
                  "--properties-file", f"{HOME}/spark-defaults.conf"], env={"PYTHONPATH": HOME})
RETRIES = dg.RetryPolicy(max_retries=1)

def train(context, *options):
    output = f"{OUTPUT}/{context.asset_key.path[-1]}"
    return JOBS.run(context=context, application=f"{HOME}/jobs/train_ensemble.py",
                    arguments=[*TRAIN, "--output", output, *options]).get_materialize_result()

@dg.asset(retry_policy=RETRIES)
def usage(context: dg.AssetExecutionContext):
    return train(context, "--mambers", 3)

@dg.asset(retry_policy=RETRIES)
def resources(context: dg.AssetExecutionContext):
    fits = os.environ["SPARKML_DIST_FITS"]
    return train(context, "--members", 6, "--estimator", "tests.orchestrators.dies_once.DiesOnce",
                 "--estimator-params", '{"folder": "%s"}' % fits)

@dg.asset
def stopped(context: dg.AssetExecutionContext):
    return train(context, "--members", 500)

@dg.op
def count(context: dg.OpExecutionContext):
    done = JOBS.run(context=context, application=f"{HOME}/jobs/profile.py", arguments=[
        "--input", f"{HOME}/data/machines.csv", "--output", f"{OUTPUT}/count"])
    (document,) = done.get_custom_messages()
    return document["rows"]

@dg.job
def counting():
    count()

defs = dg.Definitions(assets=[usage, resources, stopped], jobs=[counting])
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    file = tmp_path_factory.mktemp("faults") / "faults.py"
    file.write_text(FAULT)
    return file


def test_an_error_that_would_come_again_is_not_tried_again(machine, faults):
    done = materialize(machine, "usage", file=faults)
    assert done.returncode != 0
    assert "[usage] unrecognized arguments: --mambers 3" in done.stdout
    assert "STEP_FAILURE" in done.stdout
    assert "STEP_UP_FOR_RETRY" not in done.stdout


def test_a_lack_of_resources_is_tried_again_and_goes_on(machine, faults):
    fits = Path(machine["SPARKML_DIST_FITS"])
    fits.mkdir()
    done = materialize(machine, "resources", file=faults)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("STEP_UP_FOR_RETRY") == 1
    assert "ended with exit status 12" in done.stdout
    assert 8 <= len(list(fits.iterdir())) < 2 * (6 + 1)
    output = Path(machine["SPARKML_DIST_OUTPUT"], "resources")
    document = json.loads((output / "metrics.json").read_text())
    assert metadata(machine, "resources")["rows"] == document["rows"] > 1000


def test_a_terminated_run_leaves_no_process(machine, faults, processes_with, wait_until):
    run = subprocess.Popen(
        ["dagster", "asset", "materialize", "-f", str(faults), "--select", "stopped"],
        env=machine,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = Path(machine["SPARKML_DIST_OUTPUT"], "stopped")
    wait_until((output / "model").exists, what="the first member")
    assert len(processes_with(machine["DAGSTER_HOME"])) >= 4
    os.kill(run.pid, signal.SIGINT)
    log = run.communicate(timeout=60)[0]
    assert processes_with(machine["DAGSTER_HOME"]) == [], log[-3000:]
    document = json.loads((output / "metrics.json").read_text())
    assert document["error"]["code"] == "interrupted"


def test_an_op_reads_the_metrics(machine, faults):
    code = (
        f"import sys; sys.path.insert(0, {str(faults.parent)!r}); import faults\n"
        "done = faults.defs.get_job_def('counting').execute_in_process()\n"
        "assert done.output_for_node('count') == 1500"
    )
    subprocess.run([sys.executable, "-c", code], env=machine, cwd=ROOT, check=True)
