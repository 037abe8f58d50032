"""What Spark says of workers whose Python is not fit, told as an error of ours."""

from __future__ import annotations

import pytest

from sparkml_dist.cluster.workers import check_modules, worker_failure
from sparkml_dist.errors import ResourceError


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


def test_the_extra_of_a_missing_package_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="lightgbm") as caught:
        check_modules(["lightgbm", "own"])
    assert "sparkml_dist[boost]" in caught.value.hint
    with pytest.raises(ResourceError) as caught:
        check_modules(["own"])
    assert "pip install" not in caught.value.hint
