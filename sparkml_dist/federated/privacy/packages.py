"""Import what privacy needs from other packages, or say which extra brings it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sparkml_dist.errors import ConfigurationError


def needed(module: str) -> Any:
    """Import a module of ``cryptography`` or ``dp_accounting``.

    Raises
    ------
    ConfigurationError
        ``federated_missing``.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".", 1)[0].replace("_", "-")
        raise ConfigurationError(
            "federated_missing",
            f"Privacy needs the package {package!r}, which cannot be imported ({error}).",
            "Run: pip install 'sparkml_dist[federated]'.",
        ) from error
