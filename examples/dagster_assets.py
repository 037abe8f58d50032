"""Assets of Dagster: a profile, a model with a check of its accuracy, and scored rows.

``dagster dev -f examples/dagster_assets.py`` shows them. docs/orchestrators.md says what the
machine needs. The places come from the environment, so that this file needs no change:

SPARKML_DIST_HOME     the project's folder, with jobs/
SPARKML_DIST_TABLE    the table to learn from
SPARKML_DIST_OUTPUT   folder for what the runs write
SPARKML_DIST_MASTER   Spark's master
"""

import os

import dagster as dg

from sparkml_dist.dagster import JobClient

HOME = os.environ.get("SPARKML_DIST_HOME", "/opt/sparkml_dist")
TABLE = os.environ.get("SPARKML_DIST_TABLE", f"{HOME}/data/machines.csv")
OUTPUT = os.environ.get("SPARKML_DIST_OUTPUT", "/tmp/machines")
MASTER = os.environ.get("SPARKML_DIST_MASTER", "local[2]")
LEAST_ACCURACY = float(os.environ.get("SPARKML_DIST_LEAST_ACCURACY", "0.7"))

RETRIES = dg.RetryPolicy(max_retries=2, delay=float(os.environ.get("SPARKML_DIST_DELAY", "60")))
JOBS = JobClient(
    ["spark-submit", "--master", MASTER, "--properties-file", f"{HOME}/spark-defaults.conf"]
)


def run_folder(context: dg.AssetExecutionContext) -> str:
    """Return the folder of a run; an attempt that follows another one has the same."""
    return f"{OUTPUT}/runs/{context.run.root_run_id or context.run_id}"


def run_job(
    context: dg.AssetExecutionContext, jobs: JobClient, name: str, *options: object
) -> dg.MaterializeResult:
    """Run a job and return what the asset returns."""
    done = jobs.run(context=context, application=f"{HOME}/jobs/{name}.py", arguments=options)
    return done.get_materialize_result()


@dg.asset(retry_policy=RETRIES)
def profile(context: dg.AssetExecutionContext, jobs: JobClient) -> dg.MaterializeResult:
    """The profile of the table."""
    output = f"{run_folder(context)}/profile"
    return run_job(
        context, jobs, "profile", "--input", TABLE, "--target", "state", "--output", output
    )


@dg.asset(deps=[profile], retry_policy=RETRIES)
def trees(context: dg.AssetExecutionContext, jobs: JobClient) -> dg.MaterializeResult:
    """An ensemble of trees; its scores on held-out rows are the metadata."""
    return run_job(
        *(context, jobs, "train_ensemble", "--train", TABLE, "--label", "state"),
        *("--key", "machine", "--categorical", "site", "--members", 10, "--shards", 2),
        *("--output", f"{run_folder(context)}/trees"),
    )


@dg.asset_check(asset=trees, blocking=True)
def good_enough(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Whether the accuracy is enough; nothing is scored if not."""
    event = context.instance.get_latest_materialization_event(trees.key)
    assert event is not None and event.asset_materialization is not None
    accuracy = event.asset_materialization.metadata["accuracy"].value
    return dg.AssetCheckResult(passed=bool(accuracy >= LEAST_ACCURACY))


@dg.asset(deps=[trees], retry_policy=RETRIES)
def scored(context: dg.AssetExecutionContext, jobs: JobClient) -> dg.MaterializeResult:
    """The table with predictions."""
    folder = run_folder(context)
    return run_job(
        *(context, jobs, "score", "--model", f"{folder}/trees"),
        *("--input", TABLE, "--output", f"{folder}/scored"),
    )


defs = dg.Definitions(
    assets=[profile, trees, scored], asset_checks=[good_enough], resources={"jobs": JOBS}
)
