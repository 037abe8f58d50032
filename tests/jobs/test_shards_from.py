"""Shards that one job cut serve another on the same data (``--shards-from``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sparkml_dist import partition
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.training import shard_plan
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.filesystem import Folder

JOBS = Path(__file__).parents[2] / "jobs"
PLAN = {
    "train": "a.csv",
    "seed": 0,
    "shards": 2,
    "memory_per_task": None,
    "shards_from": None,
}


@pytest.fixture
def cut(spark, tmp_path):
    output = JobOutput(Folder.at(str(tmp_path / "out")))
    output.claim(PLAN)
    df = spark.range(60).selectExpr("cast(id as double) as x", "id % 2 as label")
    partition(df, output.shards.location, label="label", shards=2)
    return output


def test_lent_to_a_job_on_the_same_data_however_that_would_cut(cut):
    plan = {**PLAN, "shards": None, "shards_from": cut.folder.location}
    data = cut.shards_for(plan)
    assert (data.location, data.n_rows, len(data.shards)) == (cut.shards.location, 60, 2)


def test_refused_to_a_job_that_holds_out_other_rows(cut):
    with pytest.raises(ConfigurationError, match=r"plan_differs.*seed: 0 then, 1 now"):
        cut.shards_for({**PLAN, "seed": 1})


def test_refused_where_nothing_was_cut(tmp_path):
    with pytest.raises(StorageError, match="not_a_dataset"):
        JobOutput(Folder.at(str(tmp_path))).shards_for(PLAN)


def test_the_training_jobs_plan_alike_so_that_one_can_lend_to_another():
    plans = []
    for name in ("train_ensemble", "train_deep"):
        spec = importlib.util.spec_from_file_location(name, JOBS / f"{name}.py")
        job = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(job)
        args = job.options().parse_args(["--train", "a.csv", "--label", "y", "--output", "out"])
        plans.append(shard_plan(args, regression=False))
    assert plans[0] == plans[1]
