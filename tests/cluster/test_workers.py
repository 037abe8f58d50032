"""What Spark says of workers whose Python is not fit, told as an error of ours."""

from __future__ import annotations

import pytest

from sparkml_dist.cluster.workers import worker_failure


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            "org.apache.spark.api.python.PythonException: pyspark.errors.exceptions.base."
            "PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different "
            "version: 3.12 than that in driver: 3.11, PySpark cannot run with different minor "
            "versions.\n at x",
            "worker_python",
            "3.12 than that in driver: 3.11",
        ),
        ("Traceback\nModuleNotFoundError: No module named 'skops'\n", "worker_packages", "'skops'"),
    ],
)
def test_unfit_workers(text, code, told):
    error = worker_failure(text)
    assert error is not None and error.code == code
    assert told in error.message and "\n" not in error.message
    assert error.hint


def test_other_failures_are_left_alone():
    assert worker_failure("ValueError: a bad value") is None
