"""The job that learns networks: what it leaves behind, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import sparkml_dist as sd
from sparkml_dist.cli.graph_options import options
from sparkml_dist.cli.graphical import learn_graph
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import ConfigurationError, DataError, StorageError, UsageError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(spark, tmp_path):
    def work(*arguments):
        out = tmp_path / "out"
        args = options().parse_args([*map(str, arguments), "--output", str(out)])
        job = Job("learn_network")
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        learn_graph(args, job)
        return json.loads(job.document.line()), out

    return work


@pytest.fixture
def rain(tmp_path):
    path = tmp_path / "rain.csv"
    rows = [("yes", "wet"), ("no", "dry"), ("no", "dry"), ("yes", "wet"), ("no", "wet")] * 12
    path.write_text("rain,grass\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return path


def test_a_network_of_a_table(run, rain):
    document, out = run("--input", rain, "--estimation", "maximum-likelihood")
    assert document["rows"] == 60 and document["features"] == 2
    assert document["arcs"] in ([["rain", "grass"]], [["grass", "rain"]])
    assert document["parameters"] == 3 and document["score"] == document["scores"]["bic"]
    for name in ("network.bif", "network.png", "network.svg"):
        assert (out / name).stat().st_size > 100
    read = sd.read_network(out / "network.bif")
    assert read.query(["rain"], {"grass": "dry"})[0] == 1
    assert sd.load_model(str(out / "model")).arcs == read.arcs
    with pytest.raises(StorageError, match="--overwrite"):
        run("--input", rain)
    again = ("--input", rain, "--estimation", "maximum-likelihood", "--resume")
    assert run(*again)[0]["run_id"] == document["run_id"]
    tree, _ = run("--input", rain, "--structure", "chow-liu", "--label", "grass", "--overwrite")
    assert tree["arcs"] == [["grass", "rain"]] and 0 < tree["mutual_information"] < 1


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["--structure", "tan"], UsageError, "usage"),
        (["--structure", "chow-liu", "--white-list", "a,b"], ConfigurationError, "option_not_used"),
        (["--white-list", "rain,grass", "grass,rain"], ConfigurationError, "cycle"),
        (["--white-list", "rain,snow"], ConfigurationError, "unknown_variable"),
        (["--label", "snow"], DataError, "column_not_found"),
    ],
)
def test_what_is_refused_leaves_nothing(run, rain, arguments, error, code):
    with pytest.raises(error) as caught:
        run("--input", rain, *arguments)
    assert caught.value.code == code
    assert not (rain.parent / "out").exists() or not list((rain.parent / "out").glob("n*"))


def test_options_that_are_none():
    for wrong in (["--structure", "cliques"], ["--white-list", "a"], ["--alpha", "2"]):
        with pytest.raises(UsageError):
            options().parse_args(["--input", "x.csv", "--output", "out", *wrong])


@pytest.mark.long
def test_by_spark_submit(shared_data, tmp_path):
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", "local[2]"),
        str(ROOT / "jobs" / "learn_network.py"),
        *("--input", str(shared_data / "asia.csv.gz"), "--structure", "exact"),
        *("--output", str(tmp_path / "out")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout.strip().splitlines()[-1])
    assert abs(document["score"] + 11107.293309) < 6e-7
    assert (tmp_path / "out" / "network.bif").exists()
