"""Jobs as tasks of Apache Airflow: ``from sparkml_dist.airflow import JobOperator``.

It needs Airflow and its provider for Spark, and neither PySpark nor TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError

if TYPE_CHECKING:
    from sparkml_dist.airflow.job_operator import JobOperator

__all__ = ["JobOperator"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sparkml_dist.airflow.job_operator import JobOperator
    except ImportError as error:
        raise ConfigurationError(
            "orchestrator_missing",
            f"Airflow or its provider for Spark is not installed ({error}).",
            "pip install apache-airflow apache-airflow-providers-apache-spark",
        ) from error
    return JobOperator
