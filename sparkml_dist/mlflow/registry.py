"""The model registry: new versions, aliases, and the model that a URI names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError, nearest
from sparkml_dist.mlflow.server import mlflow_package, talking

__all__ = ["ResolvedModel", "register", "resolve", "set_alias"]

_STAGES = ("production", "staging", "archived", "none")
_MOST_NAMES = 12


@dataclass(frozen=True)
class ResolvedModel:
    """What a URI names at the moment.

    Attributes
    ----------
    uri : str
        A URI that names the same model for ever: a version, or a model of a run.
    name : str or None
        Name in the registry.
    version : int or None
        Version in the registry.
    """

    uri: str
    name: str | None = None
    version: int | None = None


def register(
    model_uri: str,
    name: str,
    *,
    alias: str | None = None,
    tags: dict[str, Any] | None = None,
) -> int:
    """Register a logged model as a new version.

    Parameters
    ----------
    model_uri : str
        ``runs:/RUN/model``, or the ``model_uri`` that `log_model` gives.
    name : str
        Name in the registry; it is made if there is none.
    alias : str, optional
        Give the version an alias, such as ``"champion"``; another version loses it.
    tags : dict, optional
        Of the version.

    Returns
    -------
    int
        The version.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``.
    StorageError
        ``tracking_failed``.
    """
    mlflow = mlflow_package()
    with talking(f"register the model {name!r}"):
        made = mlflow.register_model(model_uri, name, tags=tags)
    if alias is not None:
        set_alias(name, alias, made.version)
    return int(made.version)


def set_alias(name: str, alias: str, version: Any) -> None:
    """Let an alias name a version of a registered model."""
    mlflow = mlflow_package()
    with talking(f"set the alias {alias!r} of {name!r}"):
        mlflow.MlflowClient().set_registered_model_alias(name, alias, str(version))


def resolve(uri: str) -> ResolvedModel:
    """Return what a URI names now, with a version in place of an alias.

    Parameters
    ----------
    uri : str
        ``models:/name/3`` (a version), ``models:/name/latest``, ``models:/name@alias`` or
        ``models:/name/alias`` (or a stage), ``models:/m-…`` (a logged model), ``runs:/RUN/model``,
        or ``mlflow-artifacts:/…``.

    Raises
    ------
    ConfigurationError
        ``mlflow_missing``, ``invalid_model_uri``.
    StorageError
        ``model_not_registered`` where there is no such name, version or alias; its message has
        those that there are. ``tracking_failed``.
    """
    mlflow = mlflow_package()
    if not uri.startswith("models:/"):
        return ResolvedModel(uri)
    path = uri.removeprefix("models:/").strip("/")
    found = re.fullmatch(r"(?P<name>[^/@]+)(?:(?P<mark>[/@])(?P<which>[^/@]+))?", path)
    if found is None:
        raise ConfigurationError(
            "invalid_model_uri",
            f"{uri!r} names no model.",
            "Write models:/NAME/VERSION, models:/NAME@ALIAS or runs:/RUN/model.",
        )
    name, which = found["name"], found["which"]
    if which is None:
        return ResolvedModel(uri)
    client = mlflow.MlflowClient()
    version = _version(client, name, which, only_alias=found["mark"] == "@")
    return ResolvedModel(f"models:/{name}/{version}", name, version)


def _version(client: Any, name: str, which: str, *, only_alias: bool) -> int:
    with talking(f"look up the registered model {name!r}"):
        registered = [m.name for m in client.search_registered_models(max_results=1000)]
        if name not in registered:
            raise _unknown(
                f"There is no registered model {name!r}.{nearest(name, registered)}",
                f"Registered are: {_listed(registered)}.",
            )
        versions = client.search_model_versions(f"name='{name}'")
        aliases = dict(client.get_registered_model(name).aliases)
    numbers = sorted(int(v.version) for v in versions)
    if which in aliases:
        return int(aliases[which])
    if not only_alias:
        if which.isdecimal() and int(which) in numbers:
            return int(which)
        if which.lower() == "latest" and numbers:
            return numbers[-1]
        if which.lower() in _STAGES:
            staged = [int(v.version) for v in versions if v.current_stage.lower() == which.lower()]
            if staged:
                return max(staged)
    what = "version" if which.isdecimal() else "alias" if only_alias else "alias or stage"
    raise _unknown(
        f"The registered model {name!r} has no {what} {which!r}.{nearest(which, aliases)}",
        f"Versions are: {_listed(numbers)}; aliases: {_listed(sorted(aliases))}.",
    )


def _listed(names: list[Any]) -> str:
    shown = ", ".join(str(name) for name in names[-_MOST_NAMES:])
    return (f"…, {shown}" if len(names) > _MOST_NAMES else shown) or "none"


def _unknown(message: str, hint: str) -> StorageError:
    return StorageError("model_not_registered", message, hint)
