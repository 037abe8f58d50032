"""MLflow's package, its tracking server or store, and what to say when they do not answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from sparkml_dist.errors import ConfigurationError, StorageError

__all__ = ["check_answers", "mlflow_package", "talking"]

_CONNECT_SECONDS = 5.0
# MLflow's own values keep trying for minutes, and draw bars for small files; what the user has set
# stays.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def mlflow_package() -> Any:
    """Return the module `mlflow`.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``.
    """
    try:
        import mlflow
    except ImportError as error:
        raise ConfigurationError(
            "mlflow_missing",
            f"Tracking needs the package 'mlflow' or 'mlflow-skinny' ({error}).",
            "Run: pip install 'sparkml_dist[mlflow]'.",
        ) from error
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    return mlflow


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Raise what MLflow and its store raise in the block as `StorageError`.

    Parameters
    ----------
    what : str
        What is being done, for the message, as in ``"log the model"``.

    Raises
    ------
    StorageError
        ``tracking_failed``.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise _failed(what, error) from error


def check_answers(uri: str | None = None) -> None:
    """Raise unless the tracking server or store answers, within seconds.

    Parameters
    ----------
    uri : str, optional
        By default the one that MLflow uses in this process.

    Raises
    ------
    StorageError
        ``tracking_failed``.
    """
    mlflow = mlflow_package()
    uri = uri or mlflow.get_tracking_uri()
    what = f"reach the tracking server {_shown(uri)!r}"
    address = urlsplit(uri)
    if address.scheme in ("http", "https"):
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            socket.create_connection((address.hostname or "", port), _CONNECT_SECONDS).close()
        except OSError as error:
            raise _failed(what, error) from error
    with talking(what):
        mlflow.MlflowClient(uri).search_experiments(max_results=1)


def _shown(uri: str) -> str:
    """Return a URI without a password."""
    address = urlsplit(uri)
    if address.password is None:
        return uri
    return uri.replace(f":{address.password}@", ":***@", 1)


def _failed(what: str, error: Exception) -> StorageError:
    lines = str(error).strip().splitlines() or [""]
    return StorageError(
        "tracking_failed",
        f"MLflow could not {what}: {type(error).__name__}: {lines[0][:300].rstrip('.')}.",
        "Check the tracking URI (MLFLOW_TRACKING_URI), that the server runs and that this machine "
        "reaches it.",
    )
