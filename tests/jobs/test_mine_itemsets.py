"""The job that mines itemsets: its options, its formats, what it leaves behind."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sparkml_dist.cli.itemsets import mine_itemsets
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job, run_job
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, UsageError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def options():
    spec = importlib.util.spec_from_file_location("job", ROOT / "jobs" / "mine_itemsets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.options


@pytest.fixture
def mine(spark, options, tmp_path):
    """Run the job's work in this session; return its document and its itemsets."""

    def run(*arguments):
        args = options().parse_args([*map(str, arguments), "--output", str(tmp_path / "out")])
        job = Job("mine_itemsets")
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        mine_itemsets(args, job)
        rows = pq.read_table(tmp_path / "out" / "itemsets").to_pylist()
        return job.document.to_dict(), {tuple(r["items"]): r["count"] for r in rows}

    return run


def test_a_basket_in_every_line(mine, tmp_path):
    path = tmp_path / "baskets.dat"
    path.write_text("milk bread \n\nbread\nmilk  bread jam\n")
    document, found = mine("--input", path, "--min-count", 2)
    assert found == {("bread",): 3, ("milk",): 2, ("bread", "milk"): 2}
    assert (document["rows"], document["itemsets"]) == (3, 3)
    assert document["itemsets_by_size"] == {"1": 2, "2": 1}
    assert document["memory"]["peak_worker_rss_mb"] > 20
    assert {"read", "mine", "write"} <= set(document["seconds"])
    with pytest.raises(StorageError, match="--overwrite"):
        mine("--input", path)
    assert mine("--input", path, "--min-count", 2, "--resume") == (document, found)
    with pytest.raises(ConfigurationError, match="plan_differs"):
        mine("--input", path, "--min-count", 3, "--resume")
    assert mine("--input", path, "--min-count", 3, "--overwrite")[1] == {("bread",): 3}


@pytest.mark.parametrize("header", cases([True, False], [False]))
def test_an_item_in_every_row(mine, tmp_path, header):
    path = tmp_path / "sales.csv"
    path.write_text(("receipt,product\n" if header else "") + "1,milk\n1, bread\n2,bread\n,x\n")
    names = ("--items", "product", "--basket", "receipt") if header else (
        "--items", "1", "--basket", "0", "--no-header"
    )  # fmt: skip
    document, found = mine("--input", path, *names, "--min-support", 0.5)
    assert found == {("bread",): 2, ("milk",): 1, ("bread", "milk"): 1}
    assert document["rows"] == 2


def test_items_as_they_are_written(mine, tmp_path):
    path = tmp_path / "sales.csv"
    text = '1,"say ""hi"""\n2,"say ""hi"""\n1,NA\n2,001\n1,pâté\n2,pâtè\n1,7.0\n'
    path.write_bytes(("receipt,product\n" + text).encode("latin-1"))
    found = mine("--input", path, "--items", "product", "--basket", "receipt", "--min-count", 1)[1]
    single = {items[0]: n for items, n in found.items() if len(items) == 1}
    assert single == {'say "hi"': 2, "NA": 1, "001": 1, "pâté": 1, "pâtè": 1, "7.0": 1}


def test_features_that_are_not_zero(mine, tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("1 1:1 3:1\n-1 1:1 2:0 3:2\n1 2:1\n")
    found = mine("--input", path, "--label-as-item", "--min-count", 2)[1]
    assert found == {("1",): 2, ("3",): 2, ("1", "3"): 2, ("label=1",): 2}


def test_arrays_in_parquet(spark, mine, tmp_path):
    path = tmp_path / "baskets"
    spark.createDataFrame([([1, 2],), ([2],)], "goods array<int>").write.parquet(str(path))
    found = mine("--input", path, "--items", "goods", "--min-support", 1, "--target", "closed")[1]
    assert found == {(2,): 2}


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["--input", "x.csv"], UsageError, "--items COL and --basket COL"),
        (["--input", "x.dat", "--items", "a"], ConfigurationError, "is read as dat"),
        (["--input", "x.xyz"], ConfigurationError, "does not tell the format"),
        (["--input", "x.dat", "--rules", "--target", "closed"], UsageError, "all frequent"),
        (["--input", "missing.dat"], StorageError, "no file or folder"),
        (["--input", "missing.parquet"], StorageError, "no file or folder"),
    ],
)
def test_what_does_not_go(mine, arguments, error, told):
    with pytest.raises(error) as caught:
        mine(*arguments)
    assert told in str(caught.value)


def test_an_unknown_column(mine, tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text("receipt,product\n1,milk\n")
    with pytest.raises(DataError, match="Did you mean 'product'"):
        mine("--input", path, "--items", "prodct", "--basket", "receipt")


def test_wrong_options_end_the_job_before_spark(options, tmp_path, capsys):
    output = tmp_path / "out"
    command = ["--input", "x.dat", "--min-support", "1.5", "--output", str(output)]
    assert run_job("mine_itemsets", options(), mine_itemsets, command) == 2
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "1.5" in document["error"]["message"]
    assert json.loads((output / "metrics.json").read_text()) == document
