"""Loading of models that are logged or registered in MLflow, with this library's own reader."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.mlflow.flavour import FLAVOUR
from sparkml_dist.mlflow.registry import resolve
from sparkml_dist.mlflow.server import mlflow_package, talking
from sparkml_dist.mlflow.staging import within_reach
from sparkml_dist.models.loading import load_model as load_saved_model
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_inside

__all__ = ["download_model", "load_model"]


def load_model(
    model_uri: str,
    *,
    folder: str | None = None,
    trusted: Sequence[str] = (),
    verify: str | None = None,
) -> Any:
    """Load a model of this library that is logged or registered in MLflow.

    Its files are compared with the checksums in its manifest. What MLflow's own file names as a
    loader is not looked at, and nothing that it names is imported.

    Parameters
    ----------
    model_uri : str
        ``models:/name/version``, ``models:/name@alias``, ``models:/name/alias``,
        ``models:/name/latest`` or ``runs:/RUN/model``.
    folder : str, optional
        Folder or URI to copy it to, which workers reach too. By default a temporary one.
    trusted, verify
        As for `sparkml_dist.load_model`.

    Returns
    -------
    Model
        A model of the class that was logged.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``, ``invalid_model_uri``.
    StorageError
        ``model_not_registered``, ``other_flavour``, ``tracking_failed``, ``file_altered`` and the
        others of loading a model.
    """
    home = download_model(model_uri, folder)
    return load_saved_model(home.location, trusted=trusted, verify=verify)


def download_model(model_uri: str, folder: str | None = None) -> Folder:
    """Fetch the saved folder of a logged model, without opening it.

    Parameters
    ----------
    model_uri, folder
        As for `load_model`.

    Returns
    -------
    Folder
        It can be opened with `sparkml_dist.load_model`.
    """
    mlflow = mlflow_package()
    found = resolve(model_uri)
    target = tempfile.mkdtemp(prefix="sparkml_dist-mlflow-")
    _delete_at_exit(target)
    with talking(f"fetch the model {model_uri!r}"):
        fetched = mlflow.artifacts.download_artifacts(artifact_uri=found.uri, dst_path=target)
    return within_reach(_data_folder(Path(fetched), model_uri), folder)


def _data_folder(home: Path, model_uri: str) -> Path:
    """Return the saved folder inside of what MLflow stores."""
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    try:
        flavours = dict(Model.load(str(home / "MLmodel")).flavors)
    except (MlflowException, OSError, ValueError, TypeError) as error:
        raise StorageError(
            "not_a_model",
            f"{model_uri!r} holds no model: its file MLmodel is missing or cannot be read.",
            "Name a model that was logged, such as runs:/RUN/model.",
        ) from error
    own = flavours.get(FLAVOUR)
    if not isinstance(own, dict) or not isinstance(own.get("data"), str):
        kinds = ", ".join(sorted(flavours)) or "none"
        raise StorageError(
            "other_flavour",
            f"{model_uri!r} is no model of this library: its flavours are {kinds}.",
            "Load it with mlflow.pyfunc.load_model, or log one with sparkml_dist.mlflow.log_model.",
        )
    return home / check_inside(own["data"], Folder.at(home))


def _delete_at_exit(path: str) -> None:
    import atexit
    import shutil

    atexit.register(shutil.rmtree, path, ignore_errors=True)
