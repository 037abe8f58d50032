"""Jobs as external processes of Dagster Pipes: ``from sparkml_dist.dagster import JobClient``.

It needs Dagster, and neither PySpark nor TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError

if TYPE_CHECKING:
    from sparkml_dist.dagster.job_client import JobClient

__all__ = ["JobClient"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sparkml_dist.dagster.job_client import JobClient
    except ImportError as error:
        raise ConfigurationError(
            "orchestrator_missing",
            f"Dagster is not installed ({error}).",
            "pip install dagster dagster-pipes",
        ) from error
    return JobClient
