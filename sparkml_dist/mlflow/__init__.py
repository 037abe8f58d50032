"""Tracking with MLflow: models in a run and in the registry, fits logged by themselves.

Everything is sent by the driver. Models are logged in this library's own saved form, without
pickle, and are checked when they are loaded.
"""

from sparkml_dist.mlflow.fit_logging import autolog
from sparkml_dist.mlflow.flavour import save_model
from sparkml_dist.mlflow.loading import download_model, load_model
from sparkml_dist.mlflow.local_scoring import _load_pyfunc
from sparkml_dist.mlflow.model_logging import log_model
from sparkml_dist.mlflow.registry import register

__all__ = [
    "_load_pyfunc",
    "autolog",
    "download_model",
    "load_model",
    "log_model",
    "register",
    "save_model",
]
