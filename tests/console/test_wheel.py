"""The wheel in a new environment, as ``pip install`` makes it, with what it requires alone."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import zipfile

import pytest

from tests.console.commands import ROOT

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, ROOT], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheel):
    """The folder of programs of a new environment with the wheel."""
    folder = tmp_path_factory.mktemp("new") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    lock = ROOT / "requirements.lock"
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(re.findall(r"^[\w.-]+==[^\\\n]+", lock.read_text(), re.MULTILINE)))
    subprocess.run([*pip, "--constraint", pins, wheel], check=True, cwd=folder)
    return folder / "bin"


def command(environment, *arguments):
    """Run the console script away from the checkout."""
    found = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYTHON", "PYSPARK", "VIRTUAL_ENV", "SPARKML_DIST"))
    }
    found["PATH"] = f"{environment}:{found['PATH']}"
    return subprocess.run(
        [environment / "sparkml-dist", *map(str, arguments)],
        env={**found, "SPARK_LOCAL_IP": "127.0.0.1"},
        cwd=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_wheel_holds_the_jobs_and_the_settings_of_horovod(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    jobs = {f"sparkml_dist/jobs/{p.name}" for p in (ROOT / "jobs").glob("*.py")}
    horovod = ROOT / "sparkml_dist" / "console" / "horovod"
    files = [p for p in horovod.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert jobs | {str(p.relative_to(ROOT)) for p in files} <= names
    assert "sparkml_dist/py.typed" in names
    assert not [name for name in names if name.startswith("tests")]


def test_nothing_is_missing_in_the_new_environment(environment):
    code = (
        "import sparkml_dist as sd\n"
        "from sparkml_dist.public_names import PUBLIC_NAMES\n"
        "missing = [n for n in PUBLIC_NAMES if not hasattr(sd, n)]\n"
        "assert not missing, missing\n"
    )
    subprocess.run([environment / "python", "-c", code], check=True, cwd=environment)
    done = command(environment, "doctor", "--json")
    states = {f["name"]: f["state"] for f in json.loads(done.stdout)["findings"]}
    assert states["packages"] == "ok"
    assert states["extra deep"] == states["Horovod"] == "note"


def test_the_import_takes_a_tenth_of_what_its_libraries_take(environment):
    """A ratio, since machines differ: on a quiet one it is .02 s of 1.1 s."""

    def seconds(modules):
        code = (
            "import time; start = time.perf_counter()\n"
            f"import {modules}\nprint(time.perf_counter() - start)"
        )
        runs = [
            subprocess.run(
                [environment / "python", "-c", code],
                capture_output=True,
                text=True,
                check=True,
                cwd=environment,
            )
            for _ in range(3)
        ]
        return statistics.median(float(run.stdout) for run in runs)

    assert seconds("sparkml_dist") < seconds("pyspark.sql, sklearn.tree, pyarrow") / 10


def test_a_job_by_its_console_script(environment, tmp_path):
    line = ["--train", ROOT / "data" / "machines.csv", "--label", "state", "--members", "4"]
    line += ["--features", "hours", "temperature", "--output", tmp_path / "out", "--shards", "2"]
    done = command(environment, "train-ensemble", "--master", "local[2]", *line)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.splitlines()[0].startswith("spark-submit --master 'local[2]' ")
    assert "/sparkml_dist/jobs/train_ensemble.py" in done.stderr.splitlines()[0]
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "ok"
    scored = ["--model", tmp_path / "out", "--input", line[1], "--output", tmp_path / "scored"]
    assert command(environment, "score", "--master", "local[2]", *scored).returncode == 0
    # An error is the last line on stderr, and few others are there.
    done = command(
        environment,
        "score",
        "--master",
        "local[2]",
        *scored[:3],
        "/nonexistent.csv",
        "--output",
        tmp_path / "more",
    )
    assert done.returncode == 14
    assert "score: error: [" in done.stderr.splitlines()[-1]
    assert done.stderr.count(" INFO ") < 10


def test_without_networks_one_line_says_what_to_run(environment, tmp_path):
    line = ["--train", ROOT / "data" / "machines.csv", "--label", "state", "--ranks", "1"]
    line += ["--features", "hours", "temperature", "--output", tmp_path / "out"]
    done = command(environment, "train-deep", "--master", "local[2]", *line)
    assert done.returncode == 12, done.stderr[-3000:]
    (told,) = [x for x in done.stderr.splitlines() if x.startswith("train_deep: error:")]
    assert "[worker_packages]" in told
    assert "pip install 'sparkml_dist[deep]' && sparkml-dist build-horovod" in told
