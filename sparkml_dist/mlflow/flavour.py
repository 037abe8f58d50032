"""The flavour ``sparkml_dist`` of MLflow: a model's own saved folder, and what MLflow needs beside.

The folder is the one that `load_model` of this library opens: JSON, skops, Keras and Parquet files
with their checksums, and no pickle.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mlflow.server import mlflow_package
from sparkml_dist.mlflow.signature import signature_of
from sparkml_dist.mlflow.staging import local_copy
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.persistence.model_folder import PROTOCOL, versions
from sparkml_dist.version import __version__

__all__ = ["DATA", "FLAVOUR", "MOST_EXAMPLES", "save_model"]

FLAVOUR = "sparkml_dist"
#: Folder of the saved model inside of what MLflow stores.
DATA = "model"
#: Rows that an input example may have.
MOST_EXAMPLES = 20
_LOADER = "sparkml_dist.mlflow"


def save_model(
    model: Any,
    path: str,
    *,
    mlflow_model: Any = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    sign: str | None = None,
) -> None:
    """Write a fitted model to a local folder in MLflow's format.

    Parameters
    ----------
    model : Model
        Fitted by this library.
    path : str
        A folder that does not exist yet.
    mlflow_model : mlflow.models.Model, optional
        What MLflow has recorded of it so far.
    signature : mlflow.models.ModelSignature, optional
        By default from the model's own columns.
    input_example : pandas.DataFrame, optional
        One or a few rows that may be shown to whoever sees the model. None are stored unless they
        are given.
    pip_requirements : list of str, optional
    metadata : dict, optional
    sign : str, optional
        Environment variable with a key to sign the saved model with.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``, ``not_loggable``, ``invalid_param``.
    StorageError
    """
    mlflow = mlflow_package()
    from mlflow.models import Model
    from mlflow.models.utils import _save_example

    if not isinstance(model, Persistable) or model._saved_kind() != "model":
        raise ConfigurationError(
            "not_loggable",
            f"A {type(model).__name__} is not a fitted model of this library.",
            "Log what fit returned; log models of other libraries with MLflow's own flavours.",
        )
    if input_example is not None and len(input_example) > MOST_EXAMPLES:
        raise ConfigurationError(
            "invalid_param",
            f"input_example has {len(input_example):,} rows; at most {MOST_EXAMPLES} are stored.",
            "Give one or a few rows that may be shown.",
        )
    home = Path(path)
    home.mkdir(parents=True)
    local_copy(model, home / DATA, sign)
    described = mlflow_model or Model()
    described.signature = signature or signature_of(model)
    if metadata:
        described.metadata = {**(described.metadata or {}), **metadata}
    if input_example is not None:
        _save_example(described, input_example, path)
    mlflow.pyfunc.add_to_model(
        described, loader_module=_LOADER, data=DATA, python_env="python_env.yaml"
    )
    described.add_flavor(
        FLAVOUR, model_class=type(model).__name__, version=__version__, protocol=PROTOCOL, data=DATA
    )
    _write_environment(home, pip_requirements or _requirements(type(model)))
    described.model_size_bytes = sum(f.stat().st_size for f in home.rglob("*") if f.is_file())
    described.save(str(home / "MLmodel"))


def _requirements(kind: type[Persistable]) -> list[str]:
    """Return the packages that scoring needs, in the versions that are installed here."""
    found = versions(*kind._packages)
    names = {"sparkml_dist": __version__} | found
    names.pop("python", None)
    return [f"{name}=={version}" for name, version in names.items()]


def _write_environment(home: Path, requirements: list[str]) -> None:
    home.joinpath("requirements.txt").write_text("\n".join(requirements) + "\n")
    lines = [
        f"python: {platform.python_version()}",
        "build_dependencies: []",
        "dependencies:",
        "- -r requirements.txt",
    ]
    home.joinpath("python_env.yaml").write_text("\n".join(lines) + "\n")
