"""A task or a driver that is killed changes nothing in the result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.reinforcement import BatchQLearning, Transitions, open_transitions

SCHEMA = "run int, t int, x double, act int, gain double, over boolean"
COLUMNS = {
    "episode": "run",
    "step": "t",
    "state": ["x"],
    "action": "act",
    "reward": "gain",
    "terminated": "over",
}
SCRIPT = """
import os, signal, sys, time
import numpy as np
import sparkml_dist as sd
from tests.reinforcement.test_killed import COLUMNS, SCHEMA, rows

flag, folder, out, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])

def once(batches):
    for batch in batches:
        if not os.path.exists(flag):
            open(flag, "w").close()
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

spark = sd.get_session("killed")
log = spark.createDataFrame(rows(), SCHEMA).repartition(2).mapInArrow(once, SCHEMA)
made = sd.Transitions(log, folder, **COLUMNS, shards=2, overwrite=True)
os.remove(flag)
np.save(out, sd.BatchQLearning().fit(sd.open_transitions(folder)).q)
"""


def rows():
    rng = np.random.default_rng(1)
    return [
        (run, t, float(rng.integers(4)), int(rng.integers(2)), float(rng.normal()), t == 7)
        for run in range(20)
        for t in range(8)
    ]


def driver(tmp_path, seconds):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYSPARK_SUBMIT")}
    environment["PYSPARK_SUBMIT_ARGS"] = "--master local[2,4] pyspark-shell"
    names = [str(tmp_path / name) for name in ("flag", "made", "q.npy")]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *names, str(seconds)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


@pytest.mark.long
def test_a_killed_task_and_a_killed_driver(spark, tmp_path):
    first = driver(tmp_path, 600)
    deadline = time.monotonic() + 180
    while not (tmp_path / "flag").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert first.poll() is None
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    with pytest.raises(StorageError, match="not_a_dataset"):
        open_transitions(tmp_path / "made")
    (tmp_path / "flag").unlink()
    text, _ = driver(tmp_path, 0).communicate(timeout=300)  # its first task is killed
    assert (tmp_path / "q.npy").exists(), text[-3000:]
    made = Transitions(spark.createDataFrame(rows(), SCHEMA), **COLUMNS, shards=1)
    assert np.array_equal(np.load(tmp_path / "q.npy"), BatchQLearning().fit(made).q)
