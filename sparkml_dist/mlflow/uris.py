"""Which locations are URIs of MLflow."""

from __future__ import annotations

__all__ = ["is_model_uri"]

_SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


def is_model_uri(location: str) -> bool:
    """Tell whether a location is a URI of MLflow, such as ``models:/churn@champion``."""
    return location.startswith(_SCHEMES)
