"""The job that learns a policy: what it leaves behind, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.policies import learn_policy
from sparkml_dist.cli.policy_options import options
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import DataError, UsageError
from sparkml_dist.persistence.filesystem import Folder
from tests.long import cases

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ("--state", "at", "--next-state", "then", "--action", "do", "--reward", "gain")
EPISODES = ("--episode", "run", "--step", "t", "--state", "at", "--action", "do")


@pytest.fixture
def run(spark, tmp_path):
    def work(*arguments):
        out = tmp_path / "out"
        args = options().parse_args([*map(str, arguments), "--output", str(out)])
        job = Job("learn_policy")
        job._spark = spark
        job.output = JobOutput(Folder.at(args.output))
        learn_policy(args, job)
        return json.loads(job.document.line()), out

    return work


@pytest.fixture
def moves(tmp_path):
    path = tmp_path / "moves.csv"
    lines = ["0,go,0,1,false", "1,go,1,0,true", "0,stop,0.2,0,true"]
    path.write_text("at,do,gain,then,over\n" + "".join(f"{line}\n" for line in lines * 4))
    return path


@pytest.fixture
def walks(tmp_path):
    path = tmp_path / "walks.csv"
    text = "run,t,at,do,gain,over,p\n"
    for number in range(40):
        text += f"{number},0,0,go,0,false,0.5\n{number},1,1,{'go' if number % 2 else 'stop'},"
        text += f"{number % 2},true,0.5\n"
    path.write_text(text)
    return path


def test_a_table_of_single_transitions(run, moves):
    document, out = run("--transitions", moves, *PLAIN, "--terminated", "over", "--discount", 0.5)
    assert (document["states"], document["actions"], document["transitions"]) == (2, 2, 12)
    assert document["start_value"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    policy = pd.read_parquet(out / "policy")
    chosen = policy[policy.actionProbability == 1]
    assert chosen["action"].tolist() == ["go", "go"]
    model = sd.load_model(str(out / "model"))
    assert model.act(0.0) == "go"
    again = ("--transitions", moves, *PLAIN, "--terminated", "over", "--discount", 0.5, "--resume")
    assert run(*again)[0]["run_id"] == document["run_id"]


@pytest.mark.parametrize("algorithm", cases(["linucb", "thompson", "bandit-dr"], ["linucb"]))
def test_single_decisions_and_estimates(run, walks, algorithm):
    seen = ("--transitions", walks, "--state", "at", "--action", "do", "--reward", "gain")
    document, out = run(
        *seen, "--behavior-prob", "p", "--algorithm", algorithm, "--evaluate", "dr", "--shards", 2
    )
    assert document["log"]["episodes"] == document["log"]["rows"] == 80
    assert sd.load_model(str(out / "model")).act([1.0]) == "go"
    found = document["estimates"]["dr"]
    assert found["lower"] <= found["value"] <= found["upper"]
    with pytest.raises(UsageError, match="each row is a decision by itself"):
        run(*seen, "--algorithm", algorithm, "--terminated", "over")


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ["batch-q", "sarsa", "fitted-q"])
def test_a_log_of_episodes_and_estimates(run, walks, algorithm):
    given = ("--transitions", walks, *EPISODES, "--reward", "gain", "--terminated", "over")
    document, out = run(
        *given, "--behavior-prob", "p", "--evaluate", "fqe,wis", "--algorithm", algorithm
    )
    assert document["log"]["episodes"] == 40
    assert (out / "shards" / "transitions.json").exists()
    for name in ("fqe", "wis"):
        found = document["estimates"][name]
        assert found["lower"] <= found["value"] <= found["upper"]
    if algorithm == "batch-q":
        assert document["start_value"] == pytest.approx(0.99)
        assert document["estimates"]["fqe"]["value"] == pytest.approx(0.99, abs=1e-8)
    assert len(pd.read_parquet(out / "policy")) >= 2


def test_what_does_not_fit_together_is_refused(run, moves):
    with pytest.raises(UsageError, match="--pessimism is not for"):
        run("--transitions", moves, *PLAIN, "--algorithm", "sarsa", "--pessimism", 1)
    with pytest.raises(UsageError, match="fqe"):
        options().parse_args(["--transitions", "x", "--state", "s", "--evaluate", "fq"])
    with pytest.raises(DataError, match="column_not_found"):
        run("--transitions", moves, *PLAIN, "--terminated", "ower")


@pytest.mark.long
def test_the_job_runs_through_spark_submit(walks, tmp_path):
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "spark-submit"),
            *("--master", "local[2]", str(ROOT / "jobs" / "learn_policy.py")),
            *("--transitions", str(walks), *EPISODES, "--reward", "gain"),
            *("--terminated", "over", "--output", str(tmp_path / "out")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    document = json.loads(done.stdout.strip().splitlines()[-1])
    assert document["status"] == "ok" and document["start_value"] == pytest.approx(0.99)
