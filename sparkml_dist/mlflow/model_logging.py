"""Logging of a fitted model in a run."""

from __future__ import annotations

import sys
from typing import Any

from sparkml_dist.mlflow.flavour import FLAVOUR
from sparkml_dist.mlflow.registry import set_alias
from sparkml_dist.mlflow.server import mlflow_package, talking

__all__ = ["log_model"]


def log_model(
    model: Any,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    alias: str | None = None,
    run_id: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    sign: str | None = None,
) -> Any:
    """Log a fitted model in MLflow, in this library's own form.

    `mlflow.pyfunc.load_model` and `load_model` of this module open it.

    Parameters
    ----------
    model : Model
        Fitted by this library.
    name : str, default="model"
        Name of the model in the run.
    registered_model_name : str, optional
        Register it as a new version of this model.
    alias : str, optional
        Give that version an alias, such as ``"champion"``.
    run_id : str, optional
        The run; by default the active one. Without either the model belongs to no run.
    signature : mlflow.models.ModelSignature, optional
        By default from the model's own columns.
    input_example : pandas.DataFrame, optional
        One or a few rows that may be shown. None are stored unless they are given.
    pip_requirements : list of str, optional
        By default the packages that scoring needs, in the versions that are installed.
    metadata, tags : dict, optional
    sign : str, optional
        Environment variable with a key to sign the saved model with; see `verify` of `load_model`.

    Returns
    -------
    mlflow.models.model.ModelInfo
        Its ``model_uri`` loads the model; ``registered_model_version`` is its version.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``, ``not_loggable``, ``invalid_param``.
    StorageError
        ``tracking_failed``, or an error of saving the model.
    """
    mlflow_package()
    from mlflow.models import Model

    with talking("log the model"):
        logged = Model.log(
            artifact_path=None,
            name=name,
            flavor=sys.modules[__package__ or ""],
            flavor_name=FLAVOUR,
            model=model,
            run_id=run_id,
            registered_model_name=registered_model_name,
            signature=signature,
            input_example=input_example,
            pip_requirements=pip_requirements,
            metadata=metadata,
            tags=tags,
            sign=sign,
        )
    if alias is not None and registered_model_name is not None:
        set_alias(registered_model_name, alias, logged.registered_model_version)
    return logged
