"""Imports the packages of the extra ``federated``, or says how to install them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sparkml_dist.errors import ConfigurationError

__all__ = ["needed"]


def needed(module: str) -> Any:
    """Return a module of the extra.

    Raises
    ------
    ConfigurationError
        ``federated_missing``.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            "federated_missing",
            f"Silos on other machines need {module.partition('.')[0]}, which is not installed "
            f"({error}).",
            "pip install 'sparkml_dist[federated]'",
        ) from error
