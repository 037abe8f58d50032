"""A driver that is killed in the middle of a fit leaves no model, and the fit begins again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import StorageError
from tests.written import written

ALPHAS = [float(a) for a in np.geomspace(1.0, 1e-3, 40)]
SCRIPT = """
import sys
import sparkml_dist as sd

folder, model, alphas = sys.argv[1], sys.argv[2], [float(a) for a in sys.argv[3:]]
sd.get_session("killed")
data = sd.open_partitioned(folder)
sd.LinearRegression(alphas=alphas, l1Ratio=1.0, numFolds=2, form="jobs", modelDir=model).fit(data)
print("it has ended", flush=True)
"""


@pytest.mark.long
def test_a_killed_driver(spark, tmp_path):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 3))
    data = written(tmp_path / "d", X, X[:, 0] + rng.normal(size=120), shards=2)
    model = tmp_path / "model"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYSPARK_SUBMIT")}
    environment["PYSPARK_SUBMIT_ARGS"] = "--master local[1] pyspark-shell"
    log = (tmp_path / "log").open("w")
    driver = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, data.location, str(model), *map(str, ALPHAS)],
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not model.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)  # some passes
    assert driver.poll() is None, (tmp_path / "log").read_text()
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    log.close()
    with pytest.raises(StorageError):
        sd.load_model(str(model))
    given = {"alphas": ALPHAS, "l1Ratio": 1.0, "numFolds": 2, "form": "gang"}
    again = sd.LinearRegression(modelDir=str(model), resume=True, **given).fit(data)
    assert sd.load_model(str(model)).coefficients == again.coefficients
    assert again.coefficients == sd.LinearRegression(**given).fit(data).coefficients
