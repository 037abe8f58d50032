"""Fixtures of the tests with real orchestrators (`make test-orchestrators`)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# What an Airflow worker or a Dagster machine has on its PATH: its own environment, then that of
# the jobs, which has spark-submit.
OWN, JOBS = Path(sys.executable).parent, ROOT / ".venv" / "bin"


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The environment variables of an orchestrator that runs jobs of this checkout."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "DAGSTER", "SPARKML_DIST", "PYTHONPATH"))
    }
    return kept | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(OWN), str(JOBS), "/usr/bin", "/bin"]),
        "PYSPARK_PYTHON": str(JOBS / "python"),
        "PYSPARK_DRIVER_PYTHON": str(JOBS / "python"),
        "SPARKML_DIST_HOME": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }


@pytest.fixture
def processes_with():
    """Return the function that lists processes that have a text in their environment.

    A job's Java side, driver, Python workers and ranks all inherit that of the orchestrator.
    """
    return _processes_with


def _processes_with(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if text.encode() in (folder / "environ").read_bytes() and state != "Z":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    return found


@pytest.fixture
def wait_until():
    """Return the function that waits until a condition is true, and fails after a time."""

    def wait(condition, seconds: float = 120, what: str = "") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"Not within {seconds} s: {what or condition}")
            time.sleep(0.1)

    return wait


@pytest.fixture
def run():
    """Return the function that runs a command; its output is in the failure's report."""

    def run(*command, env, check=True, timeout=300):
        done = subprocess.run(
            command,
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        print(done.stdout)
        assert not check or done.returncode == 0, done.stdout[-3000:]
        return done

    return run
