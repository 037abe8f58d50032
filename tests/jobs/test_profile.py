"""The job that profiles tables: what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.profiling import profile_table
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(spark, tmp_path):
    spec = importlib.util.spec_from_file_location("job", ROOT / "jobs" / "profile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def work(*arguments):
        out = tmp_path / "out"
        args = module.options().parse_args([*map(str, arguments), "--output", str(out)])
        job = Job("profile")
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        profile_table(args, job)
        return job.document.to_dict(), out

    return work


def test_a_table_and_an_earlier_one(run, tmp_path):
    now, then = tmp_path / "now.csv", tmp_path / "then.csv"
    rows = [(i, f"k{i % 4}", i % 2) for i in range(200)]
    now.write_text("x,s,y\n" + "".join(f"{x},{s},{y}\n" for x, s, y in rows))
    then.write_text("x,s,y\n" + "".join(f"{x + 150},{s},{y}\n" for x, s, y in rows))
    document, out = run("--input", now, "--compare", then, "--target", "y", "--top", 2)
    assert (document["rows"], document["columns"], document["drifted"]) == (200, 3, ["x"])
    assert document["memory"]["peak_worker_rss_mb"] > 20
    told = {c["name"]: c for c in json.loads((out / "profile.json").read_text())["columns"]}
    assert told["x"]["mean"] == 99.5 and len(told["s"]["frequent"]) == 2
    assert told["s"]["leak"]["score"] == 1
    assert json.loads((out / "drift.json").read_text())["columns"][0]["level"] == "much"
    assert "Drift" in (out / "drift.html").read_text()
    with pytest.raises(StorageError, match="--overwrite"):
        run("--input", now)
    assert (
        run("--input", now, "--compare", then, "--target", "y", "--top", 2, "--resume")[0]
        == document
    )
    run("--input", now, "--overwrite")
    assert (out / "profile.html").exists() and not (out / "drift.html").exists()


def test_nothing_is_left_behind_by_a_wrong_target(run, spark, tmp_path):
    spark.range(9).selectExpr("id", "array(id) AS goods").write.parquet(str(tmp_path / "t"))
    with pytest.raises(DataError, match="Did you mean 'goods'"):
        run("--input", tmp_path / "t", "--target", "good")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("header", "row", "names"),
    [
        ("amount", "{i}", ["amount"]),
        ("label", "{i}", ["label"]),
        ("a,a,b,A", "{i},x{i},{i},1", ["a", "a", "b", "A"]),
        ("a,a (2),a", "{i},x{i},{i}", ["a", "a (2)", "a"]),
    ],
)
def test_tables_of_one_column_and_of_names_that_occur_twice(run, tmp_path, header, row, names):
    table = tmp_path / "t.csv"
    table.write_text(header + "\n" + "".join(row.format(i=i) + "\n" for i in range(50)))
    document, out = run("--input", table, "--compare", table)
    assert (document["rows"], document["drifted"]) == (50, [])
    told = json.loads((out / "profile.json").read_text())["columns"]
    assert [c["name"] for c in told] == names
    assert [c["kind"] for c in told][:3] == ["number", "text", "number"][: len(names)]


def test_its_name_does_not_hide_the_standard_librarys_module():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'jobs')!r})\n"
        "import cProfile, profile\n"
        "cProfile.run('1 + 1'); profile.Profile()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
