"""The job that selects an algorithm: what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from sparkml_dist import load_model
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.selection import options, select_algorithm
from sparkml_dist.errors import UsageError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(spark, tmp_path):
    def work(*arguments):
        args = options().parse_args([*map(str, arguments), "--output", str(tmp_path / "out")])
        job = Job("automl")
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        select_algorithm(args, job)
        return job.document.to_dict(), tmp_path / "out"

    return work


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    numbers = [(i * 37 % 260) / 26 for i in range(260)]
    labels = ["yes" if (x > 5) != (i % 3 == 0) else "no" for i, x in enumerate(numbers)]
    rows = [
        f"{x},{'abc'[i % 3]},{label}"
        for i, (x, label) in enumerate(zip(numbers, labels, strict=True))
    ]
    path.write_text("x,kind,label\n" + "\n".join(rows) + "\n")
    return path


def test_a_table_with_strings(run, table):
    document, out = run("--train", table, "--trials", 3, "--families", "linear", "extra_trees")
    assert document["trials"] == 3 and document["metric"] == "auc"
    assert document["metrics"]["accuracy"] > 0.8
    assert document["memory"]["peak_worker_rss_mb"] > 50 and document["peak_driver_rss_mb"] > 50
    assert document["ensemble"]["method"] in document["ensemble"]["scores"]
    assert {row["family"] for row in document["leaderboard"]} == {"linear", "extra_trees"}
    assert json.loads(json.dumps(document["leaderboard"])) == document["leaderboard"]
    assert ["family catboost", "is not among families"] in document["left"]
    page = (out / "report.html").read_text()
    assert "ROC curve" in page and "## Intended use" in (out / "model_card.md").read_text()
    model = load_model(str(out / "model"))
    assert model.numClasses == 2 and (out / "plots" / "confusion_matrix.png").exists()


def test_the_main_of_the_job_and_its_usage(run, table):
    spec = importlib.util.spec_from_file_location("job", ROOT / "jobs" / "automl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "--time-budget" in module.options().format_help()
    with pytest.raises(UsageError, match="--shards-from"):
        run("--train", table, "--shards-from", "elsewhere")
    with pytest.raises(UsageError, match="--calibrate"):
        run("--train", table, "--regression", "--calibrate")
