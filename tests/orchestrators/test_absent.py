"""Without an orchestrator, its absence is an error that says what to install."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import pytest

from sparkml_dist.errors import ConfigurationError


@pytest.mark.parametrize(
    ("room", "name", "package"),
    [
        ("airflow", "JobOperator", "apache-airflow-providers-apache-spark"),
        ("dagster", "JobClient", "dagster"),
    ],
)
def test_the_error_names_the_packages(room, name, package):
    if find_spec(room) is not None:
        pytest.skip(f"{room} is installed")
    module = importlib.import_module(f"sparkml_dist.{room}")
    with pytest.raises(ConfigurationError, match=f"orchestrator_missing.*pip install .*{package}"):
        getattr(module, name)
    with pytest.raises(AttributeError):
        module.nothing  # noqa: B018
